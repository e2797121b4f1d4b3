//go:build !unix

package compaction

func cpuNanos() int64 { return 0 }
