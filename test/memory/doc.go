// Package memory loads more than fits into memory and checks that the store
// stays below the ceiling that it documents.
//
// Entries are written in no order, the store is opened again, a sample is read
// by key and everything by a scan. On the way, what Metrics says the store holds
// has to stay below Options.MemoryMax; at the end, so has what the process ever
// had resident, where the system tells, with a quarter more for the collector
// and some for the test binary.
//
// Without CORDWOOD_CI fewer entries are loaded, under a lower ceiling.
package memory
