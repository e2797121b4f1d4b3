// Package cache keeps blocks of immutable files in memory and makes sure that
// a block which many want at once is read once.
//
// # Nouns
//
//   - A [Block] is a run of bytes with a count of references. Its buffer comes
//     from a pool, by size class, and goes back there with the last reference.
//   - A key is a file's id and an offset in it. Files are immutable: the bytes
//     of a key never change, and an id is never used for another file.
//   - The keeper is one ristretto cache (TinyLFU admission, Einziger, Friedman,
//     Manes: TinyLFU, ACM TOS 2017). It decides what stays. It is made when more
//     than a few blocks are to be kept, and replaced when the capacity changes
//     much.
//   - The doorkeeper stands before a full keeper and lets a block through that
//     was missed twice within a while.
//   - The nursery holds the first blocks, before there is a keeper: a small or
//     short-lived database never pays for one.
//   - A flight is a load under way, with those who wait for it. One that nobody
//     waited for is used again.
//
// # Who holds what
//
//	caller ----ref----+
//	caller ----ref----+--> Block --> pooled buffer
//	keeper ----ref----+
//
// Whoever gets a block from Get or Load holds one reference and calls Release
// once. The keeper is lossy and late: it may drop a block at once, queue it,
// reject it after a while, or evict it at any time, on its own goroutine, while
// somebody is just taking it out. Hence:
//
// # Invariants
//
//  1. A Block is never used again after its count reached zero; only its buffer
//     is. So a stale pointer to it, still in the hands of a Get that races with
//     an eviction, can at most fail to get a reference.
//  2. A reference is taken from the keeper's copy of the pointer only by
//     raising the count from above zero.
//  3. The keeper holds one reference for each successful Set and gives it back
//     once, guarded by a flag, after the pointer left its map.
//  4. File and offset are written before the block is shared, never again, and
//     compared on each hit: the keeper knows keys by a 64-bit hash only.
//  5. No call into a keeper runs beside its Close: each runs under one of the
//     guards, and a keeper is closed after every guard was free once.
//  6. What the keeper holds, its queue included, stays below the capacity plus
//     an eighth, at least 1 MiB.
//  7. A load error reaches everybody who waited and nobody else.
//  8. A flight is used again only if it was taken out of the map, under the
//     lock that joining takes, before anybody joined: nobody else knows it.
//
// A reference that is never released costs nothing but the reuse of its buffer:
// the garbage collector takes it. A reference released twice is a bug, which
// builds with the invariants tag (and race builds) catch, as they overwrite
// freed buffers.
//
// Everything here is safe for concurrent use. A keeper has two goroutines of
// its own; Close stops them.
package cache
