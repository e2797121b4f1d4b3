// Package model checks the store against a model of itself: random operations
// of the whole public API run on both, and every answer is compared.
//
// The model is a map of keys to values with their expiry, for each life of a
// keyspace, on an injected clock. Snapshots, cursors, transactions, feeds, pages
// and sequences are held while the store flushes, compacts, collects garbage,
// and makes and drops keyspaces, and everything is checked again after it was
// closed, killed or lost its power and was opened again. Of a transaction the
// model says whether its commit must conflict, must not, or may: the last where
// a compaction may have taken all trace of a change that left nothing where
// there was nothing. What a compaction filter does has a test of its own,
// because only reads can tell when it has done it.
//
// A run is a function of its seed. A failing run prints the seed and the last
// operations; CORDWOOD_SEED repeats it, CORDWOOD_OPS sets its length, and with
// CORDWOOD_CI set as many operations run as a submission must survive.
package model
