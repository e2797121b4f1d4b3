// Package memtable holds the newest writes in memory, sorted, until they are
// flushed into a table.
//
// # Nouns
//
//   - An item stands for one operation: the first bytes of its key, its
//     trailer, and where in the arena the rest is. It holds no Go pointer, so
//     the garbage collector never looks into the B-tree's nodes.
//   - The body is what entries need: arena, tree and the slots of lookups. It is
//     taken from a pool with the first operation, so that a memtable without
//     any costs next to nothing: a database has one for each keyspace.
//   - The arena is a run of slabs that hold keys and payloads. It only grows;
//     slabs come from a pool and go back to it when the memtable is released.
//   - The skip is the length of a prefix that all keys were seen to share. The
//     eight key bytes in an item start behind it, so that comparing two items
//     seldom touches the arena.
//   - The sample is a bounded part of the entries from which [Memtable.Estimate]
//     tells how many a range holds.
//   - A cursor walks the items in either direction, a buffer at a time.
//
// # Concurrency
//
// One goroutine at a time calls Apply. Everything else may run beside it, from
// any number of goroutines. Readers hold a read lock while they are in the
// tree, and never while they look at keys and payloads. Release is called once
// nobody uses the memtable, its cursors or the slices it gave out.
//
// # Invariants
//
//  1. Entries are never changed or removed. What was visible at a sequence
//     number stays so.
//  2. Bytes of the arena never move, and are written before the item that
//     refers to them is in the tree.
//  3. Sequence numbers given to Apply ascend. A reader whose sequence number
//     was published before it started never misses an entry that it may see.
//
// A memtable has no file format of its own: it is rebuilt from the WAL, whose
// payload package base defines.
package memtable
