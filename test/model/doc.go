// Package model checks the store against a model of itself: random operations
// of the whole public API run on both, and every answer is compared.
//
// The model is a map of keys to values with their expiry, on an injected clock.
// Snapshots and cursors are held open while the store flushes, compacts,
// collects garbage, and everything is checked again after it was closed,
// killed or lost its power and was opened again.
//
// A run is a function of its seed. A failing run prints the seed and the last
// operations; CORDWOOD_SEED repeats it, CORDWOOD_OPS sets its length, and with
// CORDWOOD_CI set as many operations run as a submission must survive.
package model
