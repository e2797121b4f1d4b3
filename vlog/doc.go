// Package vlog keeps large values in append-only files, apart from the sorted
// tables that point at them.
//
// # Nouns
//
//   - A record is one value with its keyspace, key, sequence number and expiry,
//     under two CRC-32C checksums. It can be verified, moved and salvaged alone.
//   - A logical file is what a [base.Pointer] names: the file that a record was
//     first written to, and the record's offset there. Pointers never change.
//   - A physical file is what lies on disk. As first written it holds exactly
//     one logical file, and offsets are the same in both. A [Rewriter] (garbage
//     collection) makes a physical file that holds sections: the live records
//     of one or more logical files, each section with a translation from
//     logical to physical offsets.
//   - A [Location] says which physical file holds a logical file now. It comes
//     from the manifest's version that the reader holds.
//
// [Writer] appends to an active file, [FileCache] reads single records,
// [ScanFile] reads a file in order, [Salvage] reads what damage left over, and
// [Rewriter] moves live records.
//
// # Integrity
//
// A record's body checksum covers keyspace, key and value. It is computed when the value
// is committed, carried through every rewrite and compared whenever the record
// is read or moved. The header checksum covers the header, which holds the body
// checksum, the logical file, the logical offset and the sequence number, and is
// seeded with the random id of the physical file; a rewrite computes this one
// anew, over 44 bytes. So a flipped bit, a record at a wrong place, a record or
// block of another or an older file, and a file under another's name are all
// found, and a read also compares id, keyspace, key and sequence number with
// what was asked for.
//
// # Invariants
//
//  1. A record that [Writer.Append] acknowledged is in the file, whole, when a
//     later [Writer.Flush] returns nil, and outlives power loss when a later
//     [Writer.Sync] returns nil.
//  2. Bytes below the last good offset of a file are never written again. A
//     failed write leaves nothing behind it but bytes that the next write
//     replaces or that lie past the size at which the file is sealed.
//  3. A failed fsync is never retried; the writer then refuses everything.
//  4. A rewritten file keeps logical offsets, whatever the number of rewrites.
//  5. A record belongs to one keyspace for ever, and a pointer of one keyspace
//     never reads another's record.
//  6. Every length and offset read from a file is checked against the file's
//     size before memory is reserved for it.
//
// # Concurrency
//
// Writer and FileCache are safe for concurrent use; a Rewriter is not. A record
// can be read from the moment Flush returned; before that, a read of it gives
// a [base.CorruptionError] (there is nothing at its place) and does no harm.
// The package starts no goroutine and reads no clock.
//
// The format is specified in docs/format/vlog.md.
package vlog
