// Package compaction decides which tables to merge and merges them.
//
// # Nouns
//
//   - [Pick] reads a version and says what to do next: a [Plan]. It is a pure
//     function: no I/O, no clock, no state, the same answer for the same
//     arguments.
//   - [Run] carries a plan out and returns the version edit that makes its
//     effect visible. Nothing changes before that edit is applied.
//   - [WriteTables] turns one sorted input into tables. Flush and compaction
//     share it; inside is the entry filter, which decides for every entry
//     whether anyone can still see it.
//   - A stripe is a stretch of sequence numbers between two neighbouring
//     snapshots. Two entries of one stripe are told apart by no reader.
//   - The base level is the first level that L0 is compacted into. It moves up
//     as the database grows.
//   - The weight of a table is its size plus the value-log bytes it refers to.
//
// # Invariants of the entry filter
//
// The input is in the order of internal keys; snapshots s1 < s2 < ... < sn cut
// the sequence numbers into the stripes [0, s1], (s1, s2], ..., (sn, max].
//
//  1. For every snapshot, and for a reader of everything, the visible state of
//     every key is the same before and after, given the readers' clock is at
//     least the result's ExpiryHorizon.
//  2. In one stripe at most one version of a key survives, other than merge
//     operands that could not be combined.
//  3. An entry is dropped if a range tombstone of its own stripe covers it.
//     One of a later stripe must not drop it: a snapshot lies between.
//  4. A point tombstone is dropped if no older version of its key survives in
//     the output and none can exist below (Bottom), or if the next older
//     version that survives is a tombstone too.
//  5. In one stripe of a range-tombstone fragment only the newest sequence
//     number survives, and none in the oldest stripe where nothing older lies
//     below the fragment (BottomRange): what it covered here was dropped by 3.
//  6. Operands of one stripe become one value if a base is known: an inline
//     value of the same stripe that never expires, or the knowledge that there
//     is no base. Otherwise neighbours are combined where the operator can.
//     An operator that fails, or is missing, leaves entries as they are.
//  7. An expired value becomes a point tombstone with its sequence number, so
//     that nothing older shows again. Then 2 to 6 apply.
//  8. Each value-log pointer that went in and did not come out adds its Size
//     to Discards of its logical file, exactly once.
//  9. Sequence numbers never change, save where ZeroSeqNums asks for it: then
//     the oldest surviving version of a key, if it is an inline value of the
//     oldest stripe with nothing below, and no range tombstone of the input
//     covers its key in any stripe, becomes 0. Tombstones elsewhere that cover
//     it are newer than it either way. Values in the value log keep theirs,
//     because a value record is verified against its sequence number.
//  10. Entries in = entries out + entries dropped. For a compaction, entries in
//     is also the sum of what the input tables' metadata say: a cursor that
//     ended early cannot pass for one that ended.
//
// Snapshots must name every position at which the result may be read, other
// than "everything". A flush whose input holds entries that are not yet
// published must therefore give the published sequence number as a snapshot.
//
// # Invariants of the output
//
//  11. All versions of a user key are in one table. Tables of one run are
//     disjoint; range tombstones are cut where the tables are.
//  12. Every table is synced and closed, and the directory is synced once,
//     before the run returns without error.
//  13. Any error, of an input too, fails the run; its files are removed as far
//     as that is possible, and its inputs are untouched.
//
// # Invariants of plans
//
//  14. No table is in two plans at a time, and two plans whose key ranges
//     overlap share no level other than L0.
//  15. A plan that takes a table of L0 takes every older one that overlaps it
//     or any other it takes. (Newer ones may stay.)
//  16. A plan changes something: applying plans while no one writes comes to
//     an end.
//
// # Concurrency
//
// Functions here may be called from any number of goroutines, an Env's
// functions must allow for that; they start none and read no clock. Pick reads
// TableMeta.Compacting, so that the caller holds the lock that guards it.
//
// The package has no file format of its own: see docs/format/sstable.md and
// docs/format/manifest.md.
package compaction
