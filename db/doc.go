// Package db is Cordwood: an embedded, ordered key-value store for one process.
//
// A store is a log-structured merge tree with key-value separation. Small
// values live in its sorted tables; values of [Options.ValueThreshold] bytes
// or more are written once, to a value log.
//
//	store, err := db.Open("/var/lib/app", nil)
//	if err != nil { ... }
//	defer store.Close()
//
//	err = store.Put([]byte("user/7"), []byte("Ada"))
//	value, err := store.Get([]byte("user/7"))
//
// # Nouns
//
//   - A [DB] is an open store. One process owns a directory at a time.
//   - A [Batch] is a set of writes that [DB.Apply] makes visible, and durable,
//     all at once or not at all.
//   - A [Tx] is a transaction: [DB.Update], [DB.View], [DB.Begin].
//   - A [Keyspace] is a named tree of keys beside the default one.
//   - A [Snapshot] is the store as it was at one moment, in all keyspaces.
//   - A [Feed] delivers the changes of a store as they are committed.
//   - A [Range] is a part of the key space: [All], [Prefix], [Between].
//   - [DB.Scan] walks a range with a for loop; a [Cursor] walks it in both
//     directions from any point. Both yield items; the value of an [Item] is
//     read only when asked for.
//   - A [Page] is a part of a range for callers that keep no cursor between
//     their requests: [ReadPage] gives it a token that leads on from there.
//
// # Keyspaces
//
// A store has one keyspace without a name, which the methods of DB use, and any
// number of named ones, which [DB.Keyspace] opens and makes. Each is a tree with
// options of its own: compression, filters, the value threshold, a merge
// operator, a default time to live, a compaction filter. All share the log and
// the order of commits, so that a batch ([Batch.In]), a snapshot ([Snapshot.In])
// and a transaction ([Tx.In]) span them. [DB.DropKeyspace] removes one at once,
// whatever its size. [Reader] and [Writer] are what DB, Keyspace, Snapshot, Batch
// and Tx have in common.
//
// # Transactions
//
//	err = store.Update(ctx, func(tx *db.Tx) error {
//		balance, err := tx.Get(from)
//		...
//		return tx.Put(from, less)
//	})
//
// A transaction reads the store as it was when it began, with its own writes on
// top, and commits all of them or none. Nothing is locked: if another commit has
// changed what the transaction has read, a key that was missing or a range that
// was scanned included, it fails with [ErrConflict], and [DB.Update] runs its
// function again. [SnapshotIsolation] checks less: what is written, and what was
// read with [Tx.GetForUpdate]. [DB.View] only reads; it never conflicts. With
// [DB.Begin], one commits, discards and tries again oneself.
//
// # Change feeds
//
// [DB.Subscribe] opens a [Feed] of everything, of some keyspaces or of a range of
// keys: from now on, or behind any sequence number that the log still has. It
// reads the log at its own pace. Commits arrive whole and in order; whoever
// stores [FeedBatch.Seq] with what was made of the batch sees each commit at
// least once across restarts. [Options.FeedBytes] says how far behind a feed may
// fall.
//
// # Compaction filters
//
// A [CompactionFilter] is asked about values while tables are written anyhow,
// and may keep, drop or change them. It is asked at no certain time, and maybe
// never or more than once: it is for data that nobody wants any more, not for
// logic that must run. Snapshots, transactions and cursors do not notice: it is
// not asked about what one older than ten seconds can see, and the younger ones
// stay with what there was before.
//
// # Durability
//
// [Sync] makes a commit wait until it survives power loss. [NoSync], the
// default, returns when it survives the death of the process; power loss can
// then take away at most the commits of the last [Options.SyncInterval], and
// only a suffix of them. A synced commit makes every earlier one durable.
//
// # Conditional writes and numbers
//
// [DB.PutIfAbsent], [DB.CompareAndSwap], [DB.GetAndDelete] and [DB.Add] read a
// key and write it in one step, at the price of one read and one commit. They
// are never lost to other writes and never ask to be tried again. Those of one
// key wait for each other; a condition on several keys takes a transaction.
//
// A [Sequence] gives out ascending numbers, none of them twice, not even after
// a power loss. It leases a range of them with one synced commit.
//
// # Errors
//
// Point reads return [ErrNotFound]. Damaged bytes give an error that errors.As
// finds as a [*CorruptionError]: never a wrong value and never a missing one.
// A full disk gives [ErrDiskFull] and clears by itself when space returns. Any
// other failure to write makes the store read-only until it is opened again:
// writes then return an error that wraps [ErrReadOnly] and the cause. Calls on
// a closed store return [ErrClosed].
//
// # Keys, values and limits
//
// Keys are byte strings in bytewise order, from empty up to [MaxKeyBytes].
// Values go from empty up to [MaxValueBytes], batches up to [MaxBatchBytes].
// What is larger is refused before anything is written. Slices that are passed
// in are not kept after the call returns; slices that come back from [DB.Get]
// and its like belong to the caller.
//
// # Reading much
//
// A loop over a range costs about what its items cost: values in the value log
// are read when asked for, and once a few in a row were, those that lie near
// each other are fetched together, ahead of the loop. [Range.KeysOnly] never
// reads the value log. [DB.MultiGet] reads many keys at less than the price of
// as many calls of [DB.Get]. With [Options.Prefix], ranges within one prefix pass
// over tables that have no key with it. [DB.Estimate] says about how much a range
// holds before one reads it.
//
// # Concurrency
//
// A DB, a Keyspace and a Snapshot may be used by any number of goroutines. A
// Batch, a Tx, a Cursor and a Feed belong to one goroutine at a time. Readers
// never wait for writers.
//
// # Memory and disk
//
// [Options.MemoryMax] bounds what the store keeps in memory: memtables, cached
// blocks, filters and indexes. Value-log garbage collection and compaction run
// by themselves and hold the disk to about [Options.SpaceAmpMax] bytes for each
// live byte.
//
// # In memory
//
// With Options.FS set to [vfs.NewMem] the same engine runs without a disk.
package db
