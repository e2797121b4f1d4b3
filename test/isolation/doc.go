// Package isolation checks what transactions promise: that those which commit
// look as if they had run one after the other, in an order that agrees with the
// clock, ranges included.
//
// The checks are of three kinds. Interleavings that are known from the
// literature are driven by hand, step by step, at each isolation level; the
// results are the table of docs/isolation.md. Random transactions over few keys
// are checked against a model, see package linear; random transactions over many
// against what they saw of each other, see package depgraph. And bank transfers
// keep a sum, that every scan must find, while the store flushes, compacts,
// collects garbage, is closed, and is killed.
//
// The same workloads also run on an engine of a page that has, by turns, each of
// the bugs they are for: what does not fail there proves nothing.
//
// This is a module of its own for the sake of its one dependency.
package isolation
