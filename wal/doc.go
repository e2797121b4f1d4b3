// Package wal is the write-ahead log: a chain of segments to which commits are
// appended, and the code that reads them back after a crash.
//
// # Nouns
//
//   - A segment is one file of records (package record). Segments of a log are
//     numbered consecutively, and their LSNs continue one another.
//   - The mark is the largest LSN for which the caller has said that
//     everything before it is durable, the value log included. Every record
//     carries the mark of its time, as proof.
//   - A seal is the last record of a segment that has a successor. It is
//     written after the successor is durable, and names it.
//   - A cut is the place where a replay has to stop: the bytes behind it were
//     never known to be durable.
//   - Lost segments are those behind a cut. They lost their past, so they are
//     removed with the tail of the segment that was cut.
//
// # Torn tail or damage
//
// A power loss keeps any subset of the sectors that were not synced. So an
// invalid record means nothing by itself, and a valid record behind it means
// nothing either. What decides is the largest mark that any valid record of
// the log carries: if it lies behind the invalid bytes, they were durable once,
// and are damage, which [Replay] refuses with file and offset. If not, the log
// is cut there and [ReplayResult] says so.
//
// # Concurrency
//
// One caller at a time appends to or rotates a [Log]. Sync, MarkSynced, Retire
// and the getters may run beside it and beside each other. Close waits for a
// Sync, and must not run beside an append. The functions that work on a
// directory, Replay, Repair, Remove and List, keep no state; those that change
// it expect to be alone with it.
//
// # Invariants
//
//  1. What Replay delivers is a prefix of what was appended, and holds at least
//     everything before the LSN that the last successful Sync returned.
//  2. A segment is durable, with its name, before anything is appended to it.
//     An older segment is synced before a newer one.
//  3. A mark is never ahead of what has been synced.
//  4. An append that failed for want of space leaves no trace that a replay
//     could take for a record. Every other failure makes the log refuse all
//     further work until it is opened again.
//  5. A failed fsync is never repeated.
//  6. A crash at any point of Create, Rotate or Repair leaves a log that Replay
//     accepts, with the same records.
//
// The format is specified in docs/format/wal.md, on top of
// docs/format/record.md.
package wal
