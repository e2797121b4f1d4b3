// Package compress turns blocks of a file into their stored form and back.
//
// # Nouns
//
//   - A [Kind] names a stored form: [None] or [Zstd]. It is written beside the
//     block by whoever writes the block; its numeric values are part of the
//     file format.
//   - A [Codec] does the work. It holds no memory of its own: the whole process
//     shares a pool of encoders and a decoder with a state for each processor,
//     so that opening a database costs nothing and an idle one keeps nothing.
//   - A [Stream] compresses the blocks of one file, one after the other. It
//     finds out from samples whether an entropy code saves enough to be worth
//     its decoding, and leaves it out where it does not.
//
// # The stored form
//
// A Zstd block is exactly one Zstandard frame (RFC 8878) that states its
// content size, uses no dictionary and carries no checksum: whoever writes the
// block has a stronger one, which also binds the place of the block.
//
// # Invariants
//
//  1. Compress never gives more than len(src) bytes: a block that does not
//     shrink by an eighth (12%) is stored as it is, so that reading it costs no
//     decoding.
//  2. Decompress never allocates more than sizeMax bytes of output, nor more
//     than the input could expand to, whatever the input claims.
//  3. No goroutine is started: everything runs on the caller's.
//
// Everything here is safe for concurrent use, but a Stream belongs to one
// goroutine.
package compress
