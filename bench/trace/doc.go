/*
Package trace records what an application asks of a Cordwood store, and replays it
against any engine.

	r, err := trace.Create("app.trace", trace.Options{HashKeys: true})
	traced := trace.Wrap(store, r)     // a *DB, used in place of the store
	...
	err = r.Close()

# Nouns

  - A Recorder takes operations to a file, in the background. A DB is a store
    whose operations are recorded; Keyspace, Batch, Cursor, Snapshot and Tx are
    what it hands out.
  - An Op is one operation as it was: its kind, key, lengths, outcome and times.
    A value is never stored, its length is.
  - A Reader yields the operations of a file in the order in which they ended.
  - A Replay is a workload.Source that does them again.
  - Info summarises a trace.

The format is specified in docs/format/trace.md.

# Hashed keys

With Options.HashKeys a trace holds keyed hashes (SipHash-2-4) of the keys. A hash
is as long as its key. Keys up to 8 bytes become other keys one to one; of longer
ones, two among n have the same hash with a probability of n² / 2^65. Equal keys
stay equal, so that skew, working set and lengths are those of the application.
What is lost is order: neighbours lie apart, prefixes are not shared. A range with
two bounds means nothing any more, and a scan is replayed as one that begins at a
random place and reads as many entries as it did. Lengths, times and the number of
keyspaces still say something about the application; names of keyspaces are left out.

# What a replay keeps

  - The operations of a key keep their order, but for scans and cursors, which wait
    for nobody. A client has the operations of a part of the keys; one on several keys
    is done by the client of its first one, which waits for earlier writes of the
    others, and with its writes for earlier reads too. Operations that overlapped in the
    trace are taken in the order in which they began.
  - An operation is due when it began in the recording, divided by the speed.
  - Values are made up, of the recorded lengths. Each is told by its key and
    version, so that a read is checked against what the replay has written before.
  - What the trace has found before it has written it is loaded first: Preload.
    Keys that only scans have seen are not known, and scans find fewer entries then.
  - Keyspaces become prefixes of keys, if the trace has any besides the default.
  - Reads of snapshots and of read-only transactions are done on the store as it is.
    Has is a Get. A cursor's walk is a new cursor that goes one way, the one of most
    steps. A transaction in a replay has point reads and writes only.
  - What an engine, or the interface to engines, does not have is not done, and
    Skipped says how often and why. Tries of a transaction that met a conflict are
    among it: the engine that replays it has conflicts of its own.
  - Operations that failed are not done again.

# Concurrency

A Recorder, a DB, a Keyspace and a Snapshot may be used by any number of goroutines;
a Batch, a Tx, a Cursor and a Reader belong to one at a time. The recorder never
makes an operation wait for the disk, and never makes it fail.
*/
package trace
