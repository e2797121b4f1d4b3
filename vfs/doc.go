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
//
// # Crash images
//
// Mem.CrashClone makes one of the states that a power loss may leave. What
// varies is decided item by item (Mem.Unsynced lists them), independently:
//
//   - A sector of 512 bytes written since the file's last Sync holds its old or
//     its newest bytes or, torn, a prefix of the newest followed by old ones.
//     Sectors reach the disk in any order, with any gaps. Gaps read as zeros.
//   - A size that grew since then is anything from the synced size to the
//     current one that covers the sectors kept. So a file may end in zeros that
//     were never written (the size came first) or be cut short.
//   - A shrinking since then may be lost. The file is then as it may be without
//     it and all that came after it. Several are lost from the last backwards.
//   - Names created, removed, linked and renamed since the directory's last
//     SyncDir are kept in any subset: a later one may be kept and an earlier one
//     lost. A removed file can come back, with its bytes. File.Sync says nothing
//     about the name, SyncDir nothing about the file or about the name of the
//     directory itself.
//
// An image never contains half a rename, a file under a name that it never had,
// a change to a synced byte that nobody wrote since, or bytes that were never
// in the file. An operation that builds on a dropped one is dropped too, and no
// choice of names loses a file that has a synced name which was never taken
// away. A SyncDir that makes one half of a move between directories durable
// does so with the other half.
//
// This is meant to be at least as nasty as real file systems. ext4 and XFS
// write their journals, and NTFS its log, in order: a name that survives brings
// along everything before it, where Mem allows any subset, and an fsync of a
// new file also saves its name there, which Mem denies. ext4 with data=ordered
// writes data before the size that covers it, XFS and NTFS keep a valid length
// or unwritten extents; after any of them unwritten space reads as zeros, never
// as another file's bytes, and so it does here, but here the size may also come
// alone, as with delayed allocation or a Preallocate. Page caches write back in
// any order and in units of at least a sector, so every sector is by itself; a
// drive that promises whole sectors is not believed (tearing), as one that
// promises 4 KiB is not.
//
// What real systems can do and images do not show: a sector overwritten twice
// without a Sync keeping the bytes of the first time (for appends a torn sector
// is just that; the engine overwrites nothing in place), sectors that become
// unreadable, drives that lie about a flush, and the loss of what was synced.
package vfs
