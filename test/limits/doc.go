// Package limits takes the store to the limits that it documents, and to amounts
// that are far from usual: thousands of snapshots and cursors open at once,
// values of every size around each threshold up to the largest, the longest
// keys, batches and transactions larger than memtables, merges of thousands of
// operands, a hundred thousand range deletes, hundreds of keyspaces. What is over
// a limit gets its error, and nothing of it is written.
//
// Values of 64 MiB take part in CI's runs, of 1 GiB in a soak, where there is
// memory for a few of them.
package limits
