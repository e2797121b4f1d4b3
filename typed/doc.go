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
//
// # Order
//
// The store sorts keys bytewise. The codecs of this package other than JSON and
// Binary preserve the order of what they encode: -1 before 0, 9 before 10, and
// tuples by their first element, then by their second. The encoding of a tuple
// is a prefix of the encodings of all its extensions, so the keys that begin
// with some elements are neighbours.
//
// # Invariants
//
//   - Every value has one encoding. Decoding refuses all other bytes with
//     [ErrMalformed]; so equal keys are equal bytes.
//   - No element's encoding is a prefix of another one's.
//   - Decoded values share no memory with the bytes they came from.
//
// # Concurrency
//
// Codecs have no state and may be used by any number of goroutines.
package typed
