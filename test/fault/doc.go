// Package fault checks what a store does on a file system that fails.
//
// A run lets the workload of package crash work while one operation of the file
// system, number N, fails, or all from number N on. Each kind of failure is
// tried at every N. What is demanded of the store:
//
//   - It does not panic, does not hang, and Close returns and leaves nothing
//     open: no file and, since runs are in a bubble of testing/synctest, no
//     goroutine.
//   - A write that fails says so with ErrDiskFull or ErrReadOnly, and once it
//     said ErrReadOnly it goes on saying so. It stays invisible.
//   - What a read returns is right, or it is an error that shows its cause, and
//     that only if reading can fail.
//   - A full disk, or a failure to write a table, does not make it read-only:
//     within five seconds of the end of the failure it takes writes.
//   - The next Open, be it after Close, after the death of the process or after
//     a power loss, finds the acknowledged commits as after any crash; the one
//     that failed last may be there too.
package fault
