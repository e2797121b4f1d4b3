package db

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/commit"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
	"github.com/cordwood-db/cordwood/wal"
)

// writer is the state of the commit side. Only one goroutine at a time is in
// it: the leader of a group, or the holder of pipeline.Exclusive.
type writer struct {
	gen         *generation
	seq         base.SeqNum     // last one assigned, also to a commit that failed
	applied     base.SeqNum     // last one in a memtable, published or not
	nextSegment base.SegmentNum // of the WAL segment to create next
	nextLSN     uint64          // where the log ended when the store was opened
	created     *wal.Log        // the log, while its first segment is not recorded yet
	buf         []byte          // the group, encoded

	recent   recentLog         // what was written last, for transactions
	admitted []*commit.Request // memory for a group without those refused
}

// seqNumLast is the last sequence number that a commit may have. No store gets
// there by writing; a forged one may begin there.
const seqNumLast = base.SeqNumMax - 1

// errSequenceNumbers makes a store read-only that has no number for a commit.
var errSequenceNumbers = errors.New("cordwood: sequence numbers are used up")

// embedBytesMax is how many bytes of large values of a synced group go into
// the WAL instead of the value log. One file to sync is so much cheaper than
// two that writing such values again, at the flush, pays.
const embedBytesMax = 64 * kib

// bufKeepMax is how much of the encoding buffer is kept between groups.
const bufKeepMax = 4 * mib

// writeGroup gives a group of commits its sequence numbers and puts it into
// the value log, the WAL and the memtable, in this order: a record of the WAL
// never points at value-log bytes that were not written before it. It is the
// pipeline's Write.
func (db *DB) writeGroup(group []*commit.Request) error {
	group, err := db.screen(group)
	if err == nil && len(group) == 0 {
		return nil
	}
	if err == nil {
		err = db.writeGroupLogs(group)
	}
	if err == nil {
		db.applyGroup()
		db.w.applied = db.w.seq
		db.afterGroup()
		return nil
	}
	if vfs.IsNoSpace(err) && !errors.Is(err, wal.ErrFailed) && !db.active.valuesFailed() {
		// The logs took back what they had written of it, or hold it where
		// nothing refers to it: this group is gone, the next may try.
		db.forgetActive()
		return &commit.RetryableError{Err: classify(err)}
	}
	var retry *commit.RetryableError
	if errors.As(err, &retry) {
		return err
	}
	return db.fail(err)
}

// forgetActive notes that the active value-log file may hold values that no
// entry will ever point at.
func (db *DB) forgetActive() {
	a := &db.active
	a.mu.Lock()
	f := a.values
	a.mu.Unlock()
	if f != nil {
		db.dead.forget(f.num)
	}
}

func (db *DB) writeGroupLogs(group []*commit.Request) error {
	if err := db.makeRoom(group); err != nil {
		return err
	}
	if err := db.recordOperator(group); err != nil {
		return err
	}
	w := &db.w
	if cap(w.buf) > bufKeepMax {
		w.buf = nil
	}
	w.buf = w.buf[:0]
	embed := db.embeds(group)
	separated := false
	for _, r := range group {
		q := r.Batch.(*request)
		if base.SeqNum(q.batch.count) > seqNumLast-w.seq {
			return errSequenceNumbers
		}
		q.first, q.last = w.seq+1, w.seq+base.SeqNum(q.batch.count)
		w.seq = q.last
		split, err := db.encode(q, embed)
		if err != nil {
			return err
		}
		separated = separated || split
	}
	if separated {
		if err := db.active.flushValues(); err != nil {
			return err
		}
	}
	_, err := db.active.wal.Append(w.buf)
	if err != nil {
		return err
	}
	db.metrics.walBytes.Add(uint64(len(w.buf)))
	return nil
}

// recordOperator tells the MANIFEST, once in the life of a keyspace, which
// operator its operands are meant for, before the first of them is in the WAL:
// another operator must not get to see it, not even in a replay after a crash.
func (db *DB) recordOperator(group []*commit.Request) error {
	for _, r := range group {
		for _, u := range r.Batch.(*request).batch.uses {
			if !u.merge {
				continue
			}
			ks := cmp.Or(u.ks, db.main)
			tree := db.tree(ks.num)
			if tree == nil || tree.Dropped || tree.MergeOperator != "" {
				continue
			}
			name := ks.merge().Name()
			change := manifest.KeyspaceChange{Num: ks.num, MergeOperator: &name}
			if err := db.apply(&manifest.Edit{KeyspacesChanged: []manifest.KeyspaceChange{change}}, nil, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// embeds reports whether the large values of group go into the WAL.
func (db *DB) embeds(group []*commit.Request) bool {
	sync, bytes := false, 0
	for _, r := range group {
		q := r.Batch.(*request)
		sync = sync || r.Sync
		for i := range q.batch.large {
			bytes += len(q.batch.large[i].value)
		}
		if bytes > embedBytesMax {
			return false
		}
	}
	return sync
}

// encode appends the commit of q to the group's buffer. separated says whether
// any of its values went to the value log.
func (db *DB) encode(q *request, embed bool) (separated bool, err error) {
	w := &db.w
	start := len(w.buf)
	w.buf = base.CommitHeader{FirstSeq: q.first, Count: q.batch.count}.Append(w.buf)
	if len(q.batch.large) == 0 && db.leastThreshold(q.batch) >= batchLargeBytes {
		w.buf = append(w.buf, q.batch.ops...)
	} else if separated, err = db.encodeLarge(q, embed); err != nil {
		return separated, err
	}
	opsLen := len(w.buf) - start - base.CommitHeaderLen
	binary.LittleEndian.PutUint64(w.buf[start+base.CommitHeaderLen-8:], uint64(opsLen))
	return separated, nil
}

// leastThreshold is the smallest value threshold of the keyspaces of b.
func (db *DB) leastThreshold(b *Batch) int {
	least := math.MaxInt
	for _, u := range b.uses {
		least = min(least, cmp.Or(u.ks, db.main).set.Load().threshold)
	}
	return least
}

// encodeLarge encodes a batch of which some values may go to the value log.
func (db *DB) encodeLarge(q *request, embed bool) (separated bool, err error) {
	w := &db.w
	seq := q.first
	at := 0
	least := db.leastThreshold(q.batch)
	small := func(to int) error {
		it := base.OpIter{B: q.batch.ops[at:to]}
		at = to
		for {
			op, ok, err := it.Next()
			if err != nil || !ok {
				return err
			}
			expiry, value, err := base.SplitPayload(op.Kind, op.Payload)
			if err != nil {
				return err
			}
			if op.Kind.Op() == base.KindSet && !embed && len(value) >= least &&
				len(value) >= db.settingsOf(op.Keyspace).threshold {
				separated = true
				err = db.encodePointer(op.Kind, op.Keyspace, op.Key, seq, expiry, value)
			} else {
				w.buf = base.AppendOp(w.buf, op)
			}
			if err != nil {
				return err
			}
			seq++
		}
	}
	for i := range q.batch.large {
		l := &q.batch.large[i]
		if err := small(l.at); err != nil {
			return separated, err
		}
		if embed || len(l.value) < l.threshold(db.main) {
			w.buf = appendSet(w.buf, l.kind, numOf(l.ks), l.key, l.expiry, l.value)
		} else {
			separated = true
			if err := db.encodePointer(l.kind, numOf(l.ks), l.key, seq, l.expiry, l.value); err != nil {
				return separated, err
			}
		}
		seq++
	}
	return separated, small(len(q.batch.ops))
}

// encodePointer puts a value into the value log and its pointer into the
// group's buffer.
func (db *DB) encodePointer(kind base.Kind, keyspace uint32, key []byte, seq base.SeqNum, expiry uint64, value []byte) error {
	values, err := db.valueWriter()
	if err == nil && values.Size() >= 2*db.valueFileBytes() {
		values, err = db.splitValues(values)
	}
	if err != nil {
		return err
	}
	ptr, err := values.Append(keyspace, key, seq, expiry, value)
	if err != nil {
		return err
	}
	db.metrics.valueBytes.Add(uint64(ptr.Size))
	var enc [base.PointerLenMax]byte
	kind = base.KindSetPointer | kind&base.FlagExpiry
	db.w.buf = appendSet(db.w.buf, kind, keyspace, key, expiry, ptr.Append(enc[:0]))
	return nil
}

// splitValues replaces the active value-log file in the middle of a large batch,
// whose values may be more than one file can hold.
func (db *DB) splitValues(values *valueFile) (*valueFile, error) {
	if err := values.Flush(); err != nil {
		return nil, err
	}
	// If the batch fails, nobody will come back to this file to forget it.
	db.dead.forget(values.num)
	db.active.retire(0, db.w.seq)
	return db.valueWriter()
}

// applyGroup puts the encoded group into the memtables.
func (db *DB) applyGroup() {
	for rest := db.w.buf; len(rest) > 0; {
		h, ops, next, err := base.DecodeCommit(rest)
		if err == nil {
			err = db.w.gen.apply(h, ops, func(base.SeqNum, base.Op) error { return errForeignKeyspace })
		}
		if err != nil {
			// The bytes are those that encode has just made, for keyspaces
			// that are there while the writer's role is held.
			panic("cordwood: broken invariant: own commit does not decode: " + err.Error())
		}
		rest = next
	}
}

// publishGroup makes a group visible. It is the pipeline's Publish: called in
// commit order, after the group is as durable as it asked to be.
func (db *DB) publishGroup(group []*commit.Request) {
	for _, r := range slices.Backward(group) {
		if r.Refused == nil {
			db.visible.Store(uint64(r.Batch.(*request).last))
			break
		}
	}
	if db.jobs.waitingPublish.Load() {
		db.broadcast()
	}
	db.feeds.wake()
}

// syncGroups makes groups durable. It is the pipeline's Sync.
func (db *DB) syncGroups([]*commit.Request) error {
	if err := db.syncLogs(); err != nil {
		return db.fail(err)
	}
	return nil
}

// afterGroup replaces what the group has filled up.
func (db *DB) afterGroup() {
	if db.retireValues(db.valueFileBytes()) {
		db.broadcast()
	}
}

// makeRoom sees to a WAL segment and to a memtable with room for the group.
func (db *DB) makeRoom(group []*commit.Request) error {
	if err := db.openWAL(); err != nil {
		return err
	}
	var bytes int64
	for _, r := range group {
		bytes += r.Batch.(*request).batch.bytes
	}
	gen := db.w.gen
	if gen.Empty() {
		return nil
	}
	full := gen.Bytes() >= db.opts.MemtableBytes ||
		bytes > db.opts.MemtableBytes/2 && gen.Bytes() > db.opts.MemtableBytes/4 ||
		db.hidesGarbage(gen)
	if !full || gen.Bytes() < memtableBytesMax && !db.mayFreeze() {
		return nil
	}
	err := db.freeze()
	if vfs.IsNoSpace(err) && !errors.Is(err, wal.ErrFailed) && gen.Bytes() < 2*db.opts.MemtableBytes {
		return nil // the segment in use may still have room
	}
	return err
}

// freeze starts a new generation and a new WAL segment. The old generation
// waits for its flush. The caller is the commit side.
func (db *DB) freeze() error {
	w := &db.w
	db.noteSegment(w.nextSegment) // before its file can be seen
	if err := db.active.wal.Rotate(w.nextSegment); err != nil {
		return db.logFailure(err)
	}
	w.gen.nextSegment = w.nextSegment
	w.nextSegment++
	db.mu.Lock()
	defer db.mu.Unlock()
	state := db.state.Load()
	gen := newGeneration(db.opts.MemtableBytes, state.keyspaces(), w.gen)
	gens := append([]*generation{gen}, state.gens...)
	state.version.Ref()
	db.installLocked(gens, state.version)
	db.updatePressureLocked()
	w.gen = gen
	return nil
}

// openWAL makes sure that there is a WAL segment to append to. After Open
// there is none until the first commit, so that a store on a full disk opens.
//
// Where that has failed for good, whoever was waiting for its turn meanwhile must
// not try again: it would repeat a sync that has failed.
func (db *DB) openWAL() error {
	if db.active.wal != nil {
		return nil
	}
	if f := db.failure.Load(); f != nil {
		return f.err
	}
	return db.logFailure(db.createWAL())
}

// logFailure makes the store read-only if err says that the log has failed for
// good, whoever has met with it: another try would lose the cause.
func (db *DB) logFailure(err error) error {
	if errors.Is(err, wal.ErrFailed) {
		return db.fail(err)
	}
	return err
}
