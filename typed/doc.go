// Package typed gives keys and values of a store their Go types.
//
// # Nouns
//
//   - A [Codec] turns values of one type into bytes and back: [Bytes],
//     [String], [Uint64], [Int64], [Float64], [Bool], [Time], [JSON], [Binary],
//     and [As] for one's own types.
//   - A tuple is a key of several elements whose bytes sort as the elements do:
//     [Tuple2] and [Tuple3] with typed elements, [Tuple] with any. An [Element]
//     is a codec of one element. docs/format/tuple.md specifies the bytes.
//   - A [View] is a keyspace with a codec of its keys and one of its values. It
//     works on the keyspace itself, in a transaction ([View.In]) and on a snapshot
//     ([View.At]).
//   - A [Range] is a part of the keys: [All], [Only], [Between], [Prefix].
//   - An [Index] finds the items of a view by what their values say. [AddIndex]
//     declares it; it is maintained in the transaction that writes the item.
//
// # Order
//
// The store sorts keys bytewise. The codecs of this package other than JSON and
// Binary preserve the order of what they encode: -1 before 0, 9 before 10, and
// tuples by their first element, then by their second. The encoding of a tuple
// is a prefix of the encodings of all its extensions, so the keys that begin
// with some elements are neighbours.
//
// # Indexes
//
// The entries of an index are in a keyspace of their own, so that those of the
// items hold nothing but items, an index is dropped at once whatever its size,
// and each is compacted and cached for what it is. docs/format/index.md
// specifies them. An entry never disagrees with its item, in no snapshot and
// after no crash, because one transaction writes both, in either isolation:
// whoever writes an entry writes its item, too. What goes past the view
// is not indexed: raw writes to the keyspace, views without the index, compaction
// filters. [Index.Verify] finds the difference, and
// [Index.Rebuild] removes it.
//
// # Invariants
//
//   - But for JSON and Binary, every value has one encoding. Decoding refuses
//     all other bytes with [ErrMalformed]; so equal keys are equal bytes.
//   - No element's encoding is a prefix of another one's.
//   - Decoded values share no memory with the bytes they came from.
//   - The entries of an item are those of its value as it is read back.
//   - An entry of a unique index is written and removed for its owner only,
//     also where a clock that is set back shows items that had expired.
//   - A write that a unique index refuses has written nothing.
//
// # Concurrency
//
// Codecs, views and indexes may be used by any number of goroutines, but those
// that are bound to a transaction by the one that runs it.
package typed
