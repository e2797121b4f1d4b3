// Package vfs is the engine's only door to storage: a small file-system
// interface with three implementations.
//
//   - OS is the machine's file system.
//   - Mem keeps everything in memory and can say what a power loss, or the
//     death of the process, would leave behind.
//   - Faulty wraps another file system and makes chosen operations fail.
//
// # Concurrency
//
// Every FS and every File here is safe for concurrent use. Two writes of one
// file that overlap in time and in range leave the bytes of either.
//
// # Invariants
//
//  1. A short count from ReadAt or WriteAt always comes with an error.
//  2. Errors keep the path and the errno: errors.Is(err, fs.ErrNotExist),
//     errors.Is(err, syscall.ENOSPC) and IsNoSpace see through all wrapping.
//  3. Nothing is durable before a Sync of the file (bytes and size) and a
//     SyncDir of the directory (names). Neither implies the other.
//  4. Rename replaces its target atomically, also across a power loss.
package vfs
