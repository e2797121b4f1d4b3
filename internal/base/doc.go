// Package base holds the vocabulary that every other package speaks: sequence
// numbers, kinds, internal keys, value pointers, file names, the encoding of a
// batch of operations, merge operators, prefix extractors and the error types.
//
// # Nouns
//
//   - A sequence number ([SeqNum], 56 bits) orders every operation ever
//     committed. Each operation of a batch has its own.
//   - A [Kind] says what an operation does; [FlagExpiry] says that its payload
//     starts with an expiry time.
//   - A [Trailer] packs both into 64 bits, so that comparing trailers compares
//     sequence numbers first.
//   - An [InternalKey] is a user key with a trailer. User keys ascend bytewise,
//     trailers descend: the newest version of a key comes first.
//   - A payload is what is stored under an internal key: an optional expiry,
//     then the value itself or the encoding of a [Pointer] into the value log.
//   - A prefix of a key is what a [PrefixExtractor] finds in it: filters of
//     tables remember prefixes beside keys.
//   - A [Pointer] names a logical value-log file, an offset in it as first
//     written, and lengths. It never changes, wherever garbage collection
//     moves the bytes.
//
// # Invariants
//
//  1. No two operations of a keyspace share a sequence number.
//  2. The numeric values of kinds, flags and encodings here are part of the
//     file format. They are only ever added to.
//  3. The package starts no goroutine, reads no clock and holds no state.
//
// Everything here is safe for concurrent use unless a comment says otherwise.
package base
