// Package memory loads more than fits into memory and checks that the store
// stays below the ceiling that it documents.
//
// Entries are written in no order, the store is opened again, a sample is read
// by key and everything by a scan. On the way, what Metrics says the store holds
// has to stay below Options.MemoryMax; at the end, so has what the process ever
// had resident, where the system tells, with a quarter more for the collector
// and some for the test binary.
//
// Another test holds what counts to the ceiling under a mix of values of all
// sizes, large batches, merges, and many open snapshots and cursors, and sees the
// heap go back to where it was when all is closed.
//
// With CORDWOOD_CI more entries are loaded, and in a soak ten million, under the
// default ceiling.
package memory
