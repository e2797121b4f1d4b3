// Package fuzz opens directories that nobody vouches for, as stores.
//
// FuzzOpenDirectory, FuzzPlainDirectory and FuzzCheckpoint change a small store, two
// that were killed and a checkpoint, in ways that the input spells out (edit), and
// open what is left, first read-only and then to write. FuzzRawDirectory takes the
// bytes of the files themselves. A checkpoint is opened like any store: nothing else
// in the library takes a directory as its input.
//
// TestForgedBytes is no fuzz target: it goes through single bytes of a store, all of
// them if it has the time, and makes checksums right again.
//
// Whatever the input is:
//
//   - nothing panics, hangs, or takes memory out of proportion;
//   - opening fails with a typed error, or reads give answers or typed errors,
//     what is written then can be read, and so it is after opening again;
//   - opening read-only writes nothing, and nothing is ever written outside of
//     the directory;
//   - no file is left open.
//
// Where checksums were not made right again (resealed), more is known: a read
// gives a value that its key once had, or a typed error, and nothing that was
// durable is missing.
//
// The stores are committed under testdata, so that an input means the same for
// ever; UPDATE_TESTDATA=1 makes them anew.
package fuzz
