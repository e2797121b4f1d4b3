// Package compaction decides which tables to merge and merges them.
//
// # Nouns
//
//   - [Pick] reads a tree, which is one keyspace with its tables, and says what
//     to do next: a [Plan]. It is a pure function: no I/O, no clock, no state,
//     the same answer for the same arguments.
//   - [Run] carries a plan out and returns the version edit that makes its
//     effect visible. Nothing changes before that edit is applied.
//   - [WriteTables] turns one sorted input into tables. Flush and compaction
//     share it; inside is the entry filter, which decides for every entry
//     whether anyone can still see it.
//   - A stripe is a stretch of sequence numbers between two neighbouring
//     snapshots. Two entries of one stripe are told apart by no reader.
//   - The base level is the first level that L0 is compacted into. It moves up
//     as the database grows.
//   - [Urgency] says which of several trees is most in need; [PickDropped] empties
//     the tree of a keyspace that was dropped.
//   - The weight of a table is its size plus the value-log bytes it refers to.
//
// # Invariants of the entry filter
//
// The input is in the order of internal keys; snapshots s1 < s2 < ... < sn cut
// the sequence numbers into the stripes [0, s1], (s1, s2], ..., (sn, max].
//
//  1. For every snapshot, and for a reader of everything, the visible state of
//     every key is the same before and after, given the readers' clock is at
//     least the result's ExpiryHorizon. (18 says where a compaction filter
//     changes that.)
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
//     to Discards of its logical file, exactly once. One to a file that was
//     never given out is damage.
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
//  14. No table is in two plans at a time, and two plans of a keyspace whose key
//     ranges overlap share no level other than L0. (A dropped keyspace has no
//     readers to mind: there only the first half holds.)
//  15. A plan that takes a table of L0 takes every older one that overlaps it
//     or any other it takes. (Newer ones may stay.)
//  16. A plan changes something: applying plans while no one writes comes to
//     an end.
//
// # Invariants of the compaction filter
//
// [Env].Filter is the user's say about values. It is asked where the entry
// filter hands a value on, so that 2 to 8 were applied before. A run that reads
// no entries (a move, a drop of whole tables) asks about none.
//
//  17. It is asked about a value, in the table or in the value log, exactly if
//     the value is newer than every snapshot (or, where Env.FilterAbove is given,
//     than that), was not hidden by 2, 3 or 7, and
//     has no version of its key above it in the input: no operand either. A
//     value that merging made in this run is a value; operands are none. So a
//     key is asked about once in a run at most, and keys ascend.
//  18. For every snapshot of the run, up to Env.FilterAbove, the visible state
//     of every key stays the same. For a reader of everything it becomes what it would be if, with the
//     value's own sequence number, a delete (Drop) or a set of the new value
//     (Change) had been written. Versions above it that the input does not
//     have, operands too, apply to that.
//  19. That is the only change of what can be read that the package makes. A
//     reader at a sequence number that Snapshots did not name, even one that is
//     newer than the whole input, sees the difference between the versions
//     before and after the edit. Whoever must see the same again and again, and
//     began after Snapshots were listed, stays with the version it began with.
//  20. Drop makes a point tombstone with the value's sequence number, and 2 to 6
//     apply to it: it stays where an older version may lie below or survives
//     for a snapshot, and goes where there is none. No older version shows.
//  21. Change makes a set with the same sequence number and expiry. The new
//     value is inline whatever its length, but a flush separates it like any
//     other: Separate comes after the filter, and is not called for a value
//     that was dropped.
//  22. The pointer of a value that is dropped or changed counts by 8, once, and
//     is told to OnDrop. Keep leaves an entry as it is, byte for byte.
//  23. The value log is read only if the filter asks for a value that is there,
//     and once for it then. A value that is damaged or missing stays as it is,
//     whatever the filter makes of that: a flush that failed for it would fail
//     for ever. Any other failure to read one fails the run.
//  24. An error of the filter, a panic, an unknown decision and a value over the
//     limit fail the run by 13, as a [FilterError].
//  25. By 10 a value that was dropped counts as the tombstone that it became.
//     Stats.Filtered and Stats.Changed count decisions, not entries that are
//     gone.
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
