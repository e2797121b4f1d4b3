// Package model checks the store against a model of itself: random operations
// of the whole public API run on both, and every answer is compared.
//
// # The model
//
// The model is an ordered map of keys to values with their expiry, for each life
// of a keyspace, on an injected clock that also goes backwards. Snapshots,
// cursors, transactions, feeds, pages and sequences are held while the store
// flushes, compacts, collects garbage, and makes and drops keyspaces, and
// everything is checked again after it was closed, killed or lost its power and
// was opened again, perhaps with other settings. Which commits a power loss has
// left follows from the sequence number at which the store comes back: they must
// be a prefix, with all that were durable, and the store must hold just that.
//
// Of a transaction the model says whether its commit must conflict, must not, or
// may: the last where a compaction may have taken all trace of a change that
// left nothing where there was nothing. What a compaction filter does has a test
// of its own, because only reads can tell when it has done it; here filters
// replace values by the same ones.
//
// # Histories
//
// A history is a sequence of steps (steps.go), the first of which draws the
// settings of the store. Its choices come from a draw.Source: a seed, a script,
// or a fuzzer. It runs in a bubble of testing/synctest, where waiting for timers
// costs nothing, and half of the histories wait after each step until the
// background is idle, which makes them repeatable to the letter.
//
// A history that fails is made small, and its script is printed with what each
// step did, and kept in a file, in the folder that CORDWOOD_KEEP names. Put into
// testdata/scripts the script is a case from then on; 0 stands for the simplest
// choice everywhere, so that it can be shortened by hand, too.
package model
