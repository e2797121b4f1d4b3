// Package sstable writes and reads sorted tables: immutable files of internal
// keys with their payloads, and of range tombstones.
//
// # Nouns
//
//   - A table is one file, named by a file number and bound together by a
//     random 64-bit table ID, which every checksum in it covers.
//   - A block is a run of entries, compressed and checksummed alone. Inside,
//     keys share prefixes with their predecessors; every few entries a restart
//     point holds its key whole, so that a search need not decode what comes
//     before it.
//   - A chunk is a run of data blocks of up to 1 MiB followed by the index
//     block of that run: what a scan or a compaction reads in one I/O.
//   - The top index has one entry per chunk. It stays in memory as long as the
//     table is open, as do the filter and the range tombstones. Index blocks of
//     chunks and data blocks come and go through the block cache.
//   - A separator is the key under which an index names a block or a chunk: at
//     or after everything in it, before everything behind it, and as short as
//     that allows.
//   - The filter knows the user keys of all entries and, with a
//     [base.PrefixExtractor], their prefixes: [Reader.MayHavePrefix].
//   - [Writer] makes a table; [Reader] answers point lookups ([Reader.Lookup])
//     and makes iterators; [TableCache] keeps a bounded number of readers open.
//
// # Concurrency
//
// A Writer and an iterator belong to one goroutine at a time. A Reader and a
// TableCache are safe for concurrent use. No goroutine is started, no clock
// read; nothing is logged.
//
// # Invariants
//
//  1. Every byte that a reader uses was covered by a checksum that also binds
//     the table's ID and the place in the file. Bytes that do not check give a
//     *base.CorruptionError: never "not found", never the end of the data.
//  2. Sections and chunks lie in the file without gaps and without overlap, and
//     blocks do so in their chunk. That is checked before anything in them is
//     read, so a hostile file cannot make a reader allocate or do more than a
//     small multiple of its size.
//  3. The filter only ever saves work. A damaged one is left out, and
//     [Reader.FilterDamage] tells.
//  4. An iterator that failed says so until it is positioned anew, and may
//     then succeed.
//  5. Internal keys ascend strictly; the user keys of one block may go on in
//     the next one, and the separator between them then holds the trailer too.
//
// The format is specified in docs/format/sstable.md; format.go, block.go and
// index.go hold its constants.
package sstable
