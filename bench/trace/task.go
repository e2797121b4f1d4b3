package trace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// action is what a step of a task does.
type action uint8

const (
	doGet action = iota
	doPut
	doPutTTL
	doDelete
	doMerge
	doScan
)

// step is one read or write.
type step struct {
	do     action
	found  bool   // as recorded
	again  bool   // an earlier step of the task writes the same key
	writes uint32 // of the key that come before the task
	reads  uint32 // the same; of interest to writes only
	prev   int32  // the step of the task that has written the key last; -1: none
	length int    // of the value, recorded as found or to be written; anyLength
	e      *entry
	ttl    time.Duration
	scan   *scanStep
	word   word // a write's, once it is issued
	view   view // a read's
}

// scanStep is a scan of a replay, in keys of the store.
type scanStep struct {
	lower, upper []byte
	seek         []byte // nil: from the bound
	reverse      bool
	keysOnly     bool
	entries      uint64
}

// how says how a task's steps are done.
type how uint8

const (
	oneByOne how = iota
	asMultiGet
	asBatch
	asTransaction
	asDiscarded // a transaction that is not committed
)

// task is an operation of a replay.
type task struct {
	kind  int
	due   time.Duration
	how   how
	steps []step
	err   error // of reading the trace: nothing else is set
}

// translator makes tasks of operations, for one engine.
type translator struct {
	has      engine.Ability
	hashed   bool
	prefixes bool // keys have the number of their keyspace before them
	entries  map[string]*entry
	grows    bool // entries are added; otherwise all are there
	skip     func(op *Op, reason string)
	key      []byte // scratch
}

// Reasons for leaving something out.
const (
	noMerge       = "the engine has no merge"
	noTTL         = "the engine has no TTL"
	noTx          = "the engine has no transactions"
	noRange       = "engines are not asked to delete ranges"
	noDrop        = "engines are not asked to drop keyspaces"
	noTTLInBatch  = "engines are not asked for TTL in a batch or transaction"
	noMergeInside = "engines are not asked for merges in a batch or transaction"
	noScanInside  = "engines are not asked for scans in a transaction that writes"
	failed        = "it failed when it was recorded"
	conflicted    = "a try that met a conflict"
)

// keyspacesMax is how many keyspaces a replay can tell apart.
const keyspacesMax = 1<<16 - 1

// inStore appends a key as it is in the store.
func (tr *translator) inStore(dst []byte, keyspace uint32, key []byte) []byte {
	if tr.prefixes {
		dst = binary.BigEndian.AppendUint16(dst, uint16(keyspace))
	}
	return append(dst, key...)
}

// entry is that of a key.
func (tr *translator) entry(keyspace uint32, key []byte) *entry {
	tr.key = tr.inStore(tr.key[:0], keyspace, key)
	e := tr.entries[string(tr.key)]
	if e == nil && tr.grows {
		e = newEntry(bytes.Clone(tr.key))
		tr.entries[string(e.key)] = e
	}
	return e
}

// translate makes a task of op. It has no steps if nothing is left to do.
func (tr *translator) translate(op *Op, t *task) {
	*t = task{steps: t.steps[:0]}
	switch op.Kind {
	case KindLost, KindKeyspace:
		return
	case KindDropKeyspace:
		tr.skip(op, noDrop)
		return
	case KindTransaction:
		tr.transaction(op, t)
		return
	}
	if op.Error != ErrorNone {
		tr.skip(op, failed)
		return
	}
	switch op.Kind {
	case KindBatch:
		t.how = asBatch
		tr.items(op, t)
	case KindMultiGet:
		t.how = asMultiGet
		tr.items(op, t)
	case KindPutIfAbsent, KindPutIfAbsentTTL, KindCompareAndSwap, KindGetAndDelete, KindAdd:
		if !tr.has.Has(engine.Transactions) {
			tr.skip(op, noTx)
			return
		}
		t.how = asTransaction
		tr.conditional(op, t)
	default:
		tr.single(op, t)
	}
}

// single translates an operation that stands alone.
func (tr *translator) single(op *Op, t *task) {
	switch op.Kind {
	case KindGet, KindHas, KindGetForUpdate:
		tr.get(op, t)
	case KindPut:
		tr.write(op, t, doPut)
	case KindDelete:
		tr.write(op, t, doDelete)
	case KindPutTTL:
		if !tr.has.Has(engine.TTL) {
			tr.skip(op, noTTL)
			return
		}
		tr.write(op, t, doPutTTL)
	case KindMerge:
		if !tr.has.Has(engine.Merge) {
			tr.skip(op, noMerge)
			return
		}
		tr.write(op, t, doMerge)
	case KindDeleteRange:
		tr.skip(op, noRange)
	case KindScan:
		tr.scan(op, t)
	case KindWalk:
		tr.walk(op, t)
	}
}

func (tr *translator) add(op *Op, t *task, s step) {
	if s.e = tr.entry(op.Keyspace, op.Key); s.e != nil {
		t.steps = append(t.steps, s)
	}
}

func (tr *translator) get(op *Op, t *task) {
	s := step{do: doGet, found: op.Found, length: op.Length}
	switch op.Kind {
	case KindGet, KindGetForUpdate, KindGetAndDelete:
	default:
		s.length = anyLength
	}
	tr.add(op, t, s)
}

func (tr *translator) write(op *Op, t *task, do action) {
	tr.add(op, t, step{do: do, length: op.Length, ttl: op.TTL})
}

// conditional translates a read and the write that followed from it, in a
// transaction.
func (tr *translator) conditional(op *Op, t *task) {
	read := *op
	switch op.Kind {
	case KindPutIfAbsent, KindPutIfAbsentTTL:
		read.Found = !op.Found
	case KindCompareAndSwap:
		read.Found = false // that is not known
	case KindAdd:
		read.Found = false
	}
	tr.get(&read, t)
	switch {
	case !op.Found:
	case op.Kind == KindPutIfAbsentTTL:
		tr.skip(op, noTTLInBatch)
	case op.Kind == KindGetAndDelete || op.Kind == KindCompareAndSwap && op.Removes:
		tr.write(op, t, doDelete)
	default:
		tr.write(op, t, doPut)
	}
}

// items translates those of a batch or MultiGet.
func (tr *translator) items(op *Op, t *task) {
	for i := range op.Items {
		switch item := &op.Items[i]; item.Kind {
		case KindGet:
			tr.get(item, t)
		case KindPut:
			tr.write(item, t, doPut)
		case KindDelete:
			tr.write(item, t, doDelete)
		case KindPutTTL:
			tr.skip(item, noTTLInBatch)
		case KindMerge:
			tr.skip(item, noMergeInside)
		case KindDeleteRange:
			tr.skip(item, noRange)
		}
	}
}

// transaction translates one. A read-only one is done as reads of the store.
func (tr *translator) transaction(op *Op, t *task) {
	switch {
	case op.Tx.Outcome == TxConflict:
		tr.skip(op, conflicted)
		return
	case op.Tx.Outcome == TxFailed:
		tr.skip(op, failed)
		return
	case op.Tx.ReadOnly:
	case !tr.has.Has(engine.Transactions):
		tr.skip(op, noTx)
		return
	case op.Tx.Outcome == TxDiscarded:
		t.how = asDiscarded
	default:
		t.how = asTransaction
	}
	for i := range op.Items {
		item := &op.Items[i]
		if item.Error != ErrorNone {
			tr.skip(item, failed)
			continue
		}
		switch item.Kind {
		case KindPutIfAbsent, KindCompareAndSwap, KindGetAndDelete, KindAdd:
			if !op.Tx.ReadOnly {
				tr.conditional(item, t)
			}
		case KindPutTTL, KindPutIfAbsentTTL:
			tr.skip(item, noTTLInBatch)
		case KindMerge:
			tr.skip(item, noMergeInside)
		case KindScan, KindWalk:
			if op.Tx.ReadOnly {
				tr.single(item, t)
			} else {
				tr.skip(item, noScanInside)
			}
		default:
			tr.single(item, t)
		}
	}
}

// space are the bounds of a keyspace.
func (tr *translator) space(keyspace uint32) (lower, upper []byte) {
	if !tr.prefixes {
		return nil, nil
	}
	lower = tr.inStore([]byte{}, keyspace, nil)
	if keyspace < keyspacesMax {
		upper = tr.inStore([]byte{}, keyspace+1, nil)
	}
	return lower, upper
}

// bounds are those of a range in the store. Of one with hashed keys only where
// it begins means something.
func (tr *translator) bounds(op *Op, reverse bool) *scanStep {
	s := &scanStep{reverse: reverse, keysOnly: op.Range.KeysOnly}
	s.lower, s.upper = tr.space(op.Keyspace)
	if op.Range.Lower != nil && (!tr.hashed || !reverse) {
		s.lower = tr.inStore([]byte{}, op.Keyspace, op.Range.Lower)
	}
	if op.Range.Upper != nil && (!tr.hashed || reverse) {
		s.upper = tr.inStore([]byte{}, op.Keyspace, op.Range.Upper)
	}
	return s
}

func (tr *translator) scan(op *Op, t *task) {
	s := tr.bounds(op, op.Range.Backward)
	s.entries = op.Entries
	t.steps = append(t.steps, step{do: doScan, scan: s})
}

// walk translates the walk of a cursor into a scan that goes the way of most of
// its steps.
func (tr *translator) walk(op *Op, t *task) {
	w := op.Walk
	reverse := w.Backward > w.Forward || w.Position == PositionLast || w.Position == PositionSeekLT
	s := tr.bounds(op, reverse)
	s.entries = max(w.Forward, w.Backward)
	if w.Position != PositionFresh {
		s.entries++
	}
	s.entries = min(s.entries, op.Entries)
	switch {
	case w.Position == PositionSeekGE:
		s.seek = tr.inStore([]byte{}, op.Keyspace, op.Key)
	case w.Position == PositionSeekLT:
		if key := tr.inStore([]byte{}, op.Keyspace, op.Key); s.upper == nil || bytes.Compare(key, s.upper) < 0 {
			s.upper = key
		}
	}
	t.steps = append(t.steps, step{do: doScan, scan: s})
}

// checkKeyspace says whether a replay can tell the keyspaces of a trace apart.
func checkKeyspace(n uint32) error {
	if n > keyspacesMax {
		return fmt.Errorf("trace: more than %d keyspaces", keyspacesMax)
	}
	return nil
}
