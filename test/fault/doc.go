// Package fault checks what a store does on a file system that fails.
//
// # Runs
//
// A run makes one operation of the file system fail, and maybe all like it from
// then on. Everything about it follows from its seed. There are two kinds:
//
//   - A single writer runs the workload of package crash, which knows every form
//     of commit, while operation number N fails (run_test.go).
//   - A crew of writers, with a reader, a change feed and a keeper who flushes,
//     compacts, collects and makes checkpoints beside them, works while
//     operations on one kind of file fail in one way (crew_test.go). The kinds
//     of files times the ways to fail are a matrix (target_test.go); at CI's
//     amounts every cell of it has its faults, once and for ever, and so has
//     every kind of operation on every kind of file.
//
// What is demanded of the store:
//
//   - It does not panic, does not hang, and Close returns and leaves nothing
//     open: no file and, since runs are in a bubble of testing/synctest, no
//     goroutine.
//   - A write that fails says so with ErrDiskFull or ErrReadOnly, and once it
//     said ErrReadOnly it goes on saying so. (While memtables cannot be written
//     to tables, commits may be refused with the reason for that, which passes.)
//     It stays invisible: to reads, to snapshots and to change feeds.
//   - What a read returns is right, or it is an error that shows its cause, and
//     that only if reading can fail. The next read is not the worse for it. No
//     fault is taken for damage, nor for a missing file.
//   - A full disk, or a failure to write a table, does not make it read-only:
//     within five seconds of the end of the failure it takes writes.
//   - A sync that failed is not tried again, and no table is written under a name
//     that was used before.
//   - The next Open, be it after Close, after the death of the process or after
//     a power loss, finds the acknowledged commits as after any crash; the one
//     that failed last may be there too. After a power loss what is left is the
//     beginning of one order of all writers' commits.
//
// # Calls
//
// Open, read-only Open, Checkpoint, Close and all ways to read have tests that
// let every operation of that one call fail (calls_test.go, reads_test.go). Disks
// that fill up and get room again have theirs (full_test.go), with and without a
// log that is kept for change feeds.
//
// # Repeating
//
// A failing test prints the CORDWOOD_SEED of the one run that failed. It repeats
// it as far as the scheduling of goroutines lets it.
package fault
