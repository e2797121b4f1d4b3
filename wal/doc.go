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
//   - Retained segments are those below the first that a replay needs, kept for
//     whoever reads the log from behind. They are removed from the oldest on.
//   - A limit is an LSN that the log has reached, and up to which a [Reader] may
//     read: a border of records, such as [Log.EndLSN] or [Log.DurableLSN] gave
//     it, or Append.
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
// # Reading beside a log
//
// A [Reader] delivers what was committed, in order, while a Log goes on: for
// replicas, feeds of changes, incremental backups. It is handed a limit with
// each call, and looks at nothing behind it. So it never meets a record that is
// being written, one that was torn, or one that was taken back; whatever it
// cannot read before the limit is damage. Choosing the limit, the caller says
// what may be delivered: what is published, or what is durable.
//
// A reader pins nothing. Segments may be removed while it runs, oldest first;
// if one that it needs is gone it says [ErrGone]. It holds no file open between
// calls, and none for longer than a read of 256 KiB (or one record) takes, so
// that its files can be removed on every platform.
//
// A position before a retained segment's end is good after a restart only if
// the segment outlives a power loss: who wants that syncs before [Log.Retire].
//
// # Concurrency
//
// One caller at a time appends to or rotates a [Log]. Sync, MarkSynced, Retire
// and the getters may run beside it and beside each other. Close waits for a
// Sync, and must not run beside an append. A [Reader] belongs to one goroutine
// at a time; any number of them may run beside a Log, and beside Remove. The
// functions that work on a directory, Replay, Repair, Remove, List and Sizes,
// keep no state; Replay and Repair expect to be alone with it.
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
//  7. What a Reader delivers is every record from its start on, each once, and
//     nothing else, up to the limit or an error.
//
// The format is specified in docs/format/wal.md, on top of
// docs/format/record.md.
package wal
