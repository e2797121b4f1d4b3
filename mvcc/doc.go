// Package mvcc keeps many versions of each key, at timestamps that the caller
// chooses: commit at a timestamp, read as of one, discard what lies below one.
// It is a mode of its own, for those who own the timestamps.
//
// # When to use it
//
//   - For a part of a distributed system: an oracle, or the log of a consensus
//     group, says in which order transactions took place, and every store has
//     to hold what was written at which timestamp, also when it learns of it
//     late.
//   - For history: reading the data as of last Tuesday, listing the versions of
//     a key.
//
// And when not: within one process, transactions are [db.DB.Update] and
// snapshots are [db.DB.Snapshot]. They need no timestamps, find conflicts by
// themselves, keep nothing that nobody reads, and read with half the work.
//
// # Nouns
//
//   - A [Space] is a keyspace of a store whose keys have versions. [Open] opens
//     it, or makes it.
//   - A [Timestamp] is a number from 1 up. What it counts is the caller's own:
//     ticks of an oracle, a hybrid clock, log positions.
//   - A version is a value, or the deletion of one, that a key got at a
//     timestamp. A key has at most one for each: writing there again replaces
//     it, and within a [Batch] the last write wins.
//   - A [View] reads the space as of a timestamp: of each key the newest version
//     at or below it.
//   - The discard timestamp is the lowest one that can be read, and writes are
//     above it. [Space.SetDiscard] moves it, upwards only.
//
// # What is the caller's
//
// A view is not a snapshot: a commit at a timestamp at or below that of an open
// view is seen by its next read. Whoever hands out timestamps has to see to it
// that no commit comes late where that matters, with locks, or by reading at
// timestamps below which everything is decided. (A view of a [db.Snapshot],
// [Space.AtSnapshot], does not change.)
//
// For the same reason conflicts are the caller's to find. [Batch.CommitIf]
// checks for one store that nobody wrote the same keys since a timestamp, given
// that all was decided there when it was read;
// [Space.LatestTimestamp] and [Batch.AddTo], with a [db.Tx], are the parts to
// build other checks from. [Batch.CommitWith] and [Batch.AddTo] commit together
// with what else belongs to it in other keyspaces: locks, intents, the state of
// a two-phase commit.
//
// # Discarding
//
// Once the discard timestamp has passed two versions of a key, nobody can see
// the older one, and compactions drop it. An open view that is older than the
// discard timestamp holds this back until it is closed: see [Space.Views] for
// what is open. A deletion that hides nothing any more goes too, from the next
// SetDiscard on after a compaction met it.
//
// Three things stay until [Space.Compact] is called: data that no compaction
// touches; what a snapshot or transaction of the store that has been open for ten
// seconds sees whenever one touches it; and deletions at the bottom that were met
// before the store was closed, with no SetDiscard in between. A store that always
// has such readers should compact its spaces now and then.
//
// # Limits
//
// Keys have at most [MaxKeyBytes] bytes, values [MaxValueBytes]. There are no
// range deletes: one that holds at a timestamp only would have to be looked for
// by every read of every key, and one that held at all timestamps would change
// the past. Nor are there merges and times to live.
//
// # Invariants
//
//  1. A batch at a timestamp is visible, and durable, as a whole or not at all.
//  2. For every timestamp at or above the discard timestamp, and that of every
//     open view, what can be read stays the same whatever is discarded.
//  3. The discard timestamp by which versions are dropped is durable, and no
//     view that could be opened later reads below it.
//  4. No version at or below the discard timestamp is written.
//  5. Bytes that are no version of this package's making are a
//     [*db.CorruptionError], not skipped.
//
// # Concurrency
//
// A Space and a View may be used by any number of goroutines, a Batch and a
// Cursor by one at a time. Writers of the same space do not wait for each
// other; SetDiscard waits for the commits that are on their way.
//
// The keyspace of a Space must not be written to by other means. Its format is
// specified in docs/format/mvcc.md, the reasons for it are in
// docs/adr/0020-timestamps.md.
package mvcc
