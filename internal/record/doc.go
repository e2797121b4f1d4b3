// Package record frames the records of append-only files: WAL segments and
// MANIFESTs. It turns bytes into records that carry their own proof of what
// was durable when they were written, and reads files back without ever
// guessing.
//
// # Nouns
//
//   - A file starts with a [FileHeader]: kind, version, a random file id, a
//     number, and the LSN of its first byte.
//   - An LSN is a cumulative byte position over all files of a log: the start
//     LSN of a file plus an offset in it.
//   - A record is a header of [RecordHeaderLen] bytes and a payload. Its
//     checksums bind the file id and the record's own offset, so that a stale,
//     moved or foreign record is never taken for a valid one.
//   - The synced LSN of a record: everything before it was known to be durable
//     when the record was written. It is what tells a torn tail from damage:
//     an invalid record at or after every synced LSN may be the trace of a
//     power loss; one before any of them is damage.
//   - A limit is the LSN or offset that a [Reader] beside a [Writer] must not
//     look behind, because bytes there may still change.
//   - A [Tail] describes how a file ends: where its valid prefix stops, why,
//     and what the records behind that point prove.
//
// # Concurrency
//
// A [Writer] and a [Reader] each belong to one goroutine at a time, and run
// beside each other: what is before the limit does not change. [Scan], [ReadHeader] and
// [Blank] keep no state and may run beside anything; they see a file as long
// as it was when they started.
//
// # Invariants
//
//  1. A record is delivered only if both of its checksums hold, and by a Scan
//     only if every record before it was delivered.
//  2. Damage is never an I/O error and an I/O error is never damage.
//  3. Time is linear in the file's size and memory is bounded by it, whatever
//     the bytes are.
//  4. The package starts no goroutine and holds no state.
//
// The format is specified in docs/format/record.md.
package record
