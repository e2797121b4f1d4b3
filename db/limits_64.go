//go:build !(386 || arm || mips || mipsle)

package db

const maxBatchBytes = 16 << 30
