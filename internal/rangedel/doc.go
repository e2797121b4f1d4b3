// Package rangedel keeps range tombstones: deletions of every key between two
// bounds.
//
// # Nouns
//
//   - A [Tombstone] deletes [Start, End) below a sequence number. It is a true
//     statement for ever: "every version of a key in [Start, End) older than
//     Seq is deleted". Cutting one in two, repeating it, or moving it from one
//     source to another changes nothing.
//   - A [Fragment] is a stretch of keys over which the set of covering
//     tombstones is the same, with their sequence numbers, newest first.
//   - A [Set] is a run of fragments that ascend and do not overlap. Tombstones
//     of any number of sources may be merged into one Set and applied to the
//     entries of all of them.
//   - A [Cursor] asks a Set about keys that mostly ascend or mostly descend.
//
// # Invariants
//
//  1. Fragments of a Set ascend by Start; each ends at or before the start of
//     the next; none is empty; each has at least one sequence number.
//  2. Sequence numbers of a fragment descend strictly.
//  3. Two fragments that touch differ in their sequence numbers.
//
// A Set never changes once built and is safe for concurrent use; a Cursor is
// used by one goroutine at a time. Keys in a Set alias the slices that it was
// built from, which must stay unchanged for the life of the Set.
//
// The package has no file format: a table stores fragments in its own way (see
// docs/format/sstable.md).
package rangedel
