// Package process checks what only real processes on a real file system can
// show: that a killed process loses nothing it acknowledged and leaves no lock
// behind, that one owner at a time has a directory, that a read-only store needs
// no right to write, and that a full disk passes.
//
// The test binary starts itself as the child: see TestMain.
//
// # Kills
//
// Each step of nine writers follows from its number, so that the store can be
// compared with the number alone. The child prints a step's number when its
// commit has returned, in one write to a pipe that the parent reads to its end:
// the acknowledgements are kept outside the child, and all of them. The child is
// killed at work, while it opens a store, most often one that was killed before,
// while it closes one under its writers, and while it makes a checkpoint.
//
// The writers use batches and transactions, synced and not, conditional writes,
// sequences, times to live, merges, range deletes, and make and drop keyspaces.
// A feed tells what it delivers; a check resumes it, and each step must have
// been delivered once, in order. Meanwhile the child flushes, compacts, collects
// garbage, makes checkpoints, which are checked too, and reads snapshots.
//
// # Limits and leaks
//
// Children run out of memory, of descriptors and of what a file may grow to; one
// works inside the memory that its options say. Cycles of opening and closing,
// and of failing to, leave no descriptor, map, goroutine or heap behind.
//
// CORDWOOD_SEED repeats the options and the moments of a store. CORDWOOD_HUGE_GIB
// runs a transaction of so many GiB whose process is killed while it commits.
package process
