// Package iterator defines the internal cursor over versions of keys, and the
// cursors that are made of other cursors: [Merging] (many sources into one
// order) and [Slice] (for tests and small sorted runs).
//
// # Invariants
//
//  1. Every iterator carries an error, and a composed iterator reports the
//     error of any of its sources at once: it never reads an error as the end.
//  2. Two sources never hold the same internal key.
//
// An iterator is used by one goroutine at a time; it starts none.
package iterator
