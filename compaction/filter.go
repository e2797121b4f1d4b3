package compaction

import (
	"bytes"
	"fmt"
	"sort"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// sink takes the entries that survive, in order; first marks the first of a
// user key. It must not keep the slices.
type sink interface {
	add(key base.InternalKey, payload []byte, first bool) error
}

// filter is the entry filter: it walks versions of keys, newest first, and
// hands on those that someone may still see. doc.go lists what it keeps.
//
// It never looks ahead: a value is decided by what is above it. Only a point
// tombstone and merge operands depend on what follows, so they wait (in
// tomb and run) until the next surviving version of their key, or its end.
type filter struct {
	// Immutable.
	in       iterator.Iterator
	out      sink
	stripes  stripes
	now      uint64
	zeroSeqs bool
	bottom   func(key []byte) bool
	merge    base.MergeOperator
	values   *valueFilter          // nil: nobody is asked
	tick     func(bytes int) error // called now and then with input bytes since the last call

	cover    rangedel.Cursor
	discards discards
	stats    Stats
	horizon  uint64 // largest expiry of an entry that became a tombstone
	untold   int    // input bytes not yet told to tick

	// Of the current user key.
	started bool
	user    []byte
	emitted bool         // a version of it survived
	last    base.Trailer // of the entry before
	frag    rangedel.Fragment
	covered bool // frag is set
	settled int  // stripe in which everything older is hidden; -1 none
	tomb    base.Trailer
	hasTomb bool // tomb waits
	run     mergeRun
}

// tickBytes is how much input passes between two calls of tick: often enough
// for smooth pacing, seldom enough to cost nothing.
const tickBytes = 32 << 10

// entryOverhead is added to key and payload for the trailer.
const entryOverhead = base.TrailerLen

// walk filters the whole input. It returns the input's error if it has one.
func (f *filter) walk() error {
	f.settled = -1
	for ok := f.in.First(); ok; ok = f.in.Next() {
		key, payload := f.in.Key(), f.in.Value()
		f.stats.EntriesIn++
		f.untold += len(key.User) + len(payload) + entryOverhead
		if f.untold >= tickBytes {
			if err := f.told(); err != nil {
				return err
			}
		}
		if err := f.entry(key, payload); err != nil {
			return err
		}
	}
	if err := f.in.Err(); err != nil {
		return err
	}
	if err := f.endKey(); err != nil {
		return err
	}
	return f.told()
}

func (f *filter) told() error {
	f.stats.BytesIn += uint64(f.untold)
	n := f.untold
	f.untold = 0
	return f.tick(n)
}

// entry decides about one version.
func (f *filter) entry(key base.InternalKey, payload []byte) error {
	if err := f.enter(key); err != nil {
		return err
	}
	kind, seq := key.Trailer.Kind(), key.Trailer.SeqNum()
	stripe := f.stripes.of(seq)
	if stripe == f.settled {
		f.stats.Shadowed++
		return f.discards.drop(kind, payload)
	}
	if f.coveredIn(stripe, seq) {
		// Operands above it now know that they have no base.
		if f.run.stripe == stripe && !f.run.empty() {
			if err := f.flushRun(noBase); err != nil {
				return err
			}
		}
		f.settled = stripe
		f.stats.Covered++
		return f.discards.drop(kind, payload)
	}
	if kind.HasExpiry() {
		expiry, _, err := base.SplitPayload(kind, payload)
		if err != nil {
			return malformed(key, err)
		}
		if expiry <= f.now {
			if err := f.discards.drop(kind, payload); err != nil {
				return err
			}
			f.horizon = max(f.horizon, expiry)
			f.stats.Expired++
			kind, payload = base.KindDelete, nil
		}
	}
	return f.survivor(stripe, base.MakeTrailer(seq, kind), payload)
}

// enter notices a new user key and checks the order.
func (f *filter) enter(key base.InternalKey) error {
	if f.started {
		switch c := bytes.Compare(key.User, f.user); {
		case c == 0:
			if key.Trailer >= f.last {
				return outOfOrder(key)
			}
			f.last = key.Trailer
			return f.checkKind(key)
		case c < 0:
			return outOfOrder(key)
		}
		if err := f.endKey(); err != nil {
			return err
		}
	}
	f.started = true
	f.user = append(f.user[:0], key.User...)
	f.emitted = false
	f.last = key.Trailer
	f.settled = -1
	f.frag, f.covered = f.cover.At(key.User)
	return f.checkKind(key)
}

// checkKind refuses what may not stand in a table's or memtable's entries.
func (f *filter) checkKind(key base.InternalKey) error {
	if k := key.Trailer.Kind(); !k.Valid() || k.Op() == base.KindRangeDelete {
		return malformed(key, fmt.Errorf("kind %s among entries", k))
	}
	return nil
}

// coveredIn reports whether a range tombstone of the given stripe, newer than
// seq, covers the current key.
func (f *filter) coveredIn(stripe int, seq base.SeqNum) bool {
	if !f.covered {
		return false
	}
	seqs, limit := f.frag.Seqs, f.stripes.last(stripe) // newest first
	if seqs[0] > limit {
		seqs = seqs[sort.Search(len(seqs), func(i int) bool { return seqs[i] <= limit }):]
	}
	return len(seqs) > 0 && seqs[0] > seq
}

// survivor takes a version that nothing above it in its stripe hides.
func (f *filter) survivor(stripe int, t base.Trailer, payload []byte) error {
	if t.Kind() == base.KindMerge {
		return f.operand(stripe, t, payload)
	}
	f.settled = stripe
	if !f.run.empty() {
		known := unknownBase
		if f.run.stripe == stripe {
			known = baseOf(t.Kind())
		}
		f.run.base = payload
		folded, err := f.closeRun(known)
		f.run.base = nil
		if err != nil {
			return err
		}
		if folded {
			f.stats.Merged++ // t itself went into the result
			return nil
		}
	}
	if t.Kind() == base.KindDelete {
		if f.hasTomb {
			f.stats.Tombstones++ // the newer of two in a row says nothing more
		}
		f.tomb, f.hasTomb = t, true
		return nil
	}
	return f.emitSet(stripe, t, payload)
}

// emitSet hands a value on, if the user's filter lets it pass. Everything older
// in its stripe is hidden by it, or by the tombstone in its place.
func (f *filter) emitSet(stripe int, t base.Trailer, payload []byte) error {
	if f.values != nil && f.values.asks(f, stripe) {
		var err error
		if t, payload, err = f.consult(t, payload); err != nil || f.hasTomb {
			return err
		}
	}
	if f.zeroSeqs && stripe == 0 && t.Kind().Op() == base.KindSet && !f.covered && f.bottom(f.user) {
		t = base.MakeTrailer(0, t.Kind())
	}
	return f.emit(t, payload)
}

// emit hands a version on, behind the tombstone that waits above it.
func (f *filter) emit(t base.Trailer, payload []byte) error {
	if err := f.emitTomb(); err != nil {
		return err
	}
	return f.hand(t, payload)
}

func (f *filter) hand(t base.Trailer, payload []byte) error {
	f.stats.EntriesOut++
	first := !f.emitted
	f.emitted = true
	return f.out.add(base.InternalKey{User: f.user, Trailer: t}, payload, first)
}

func (f *filter) emitTomb() error {
	if !f.hasTomb {
		return nil
	}
	f.hasTomb = false
	return f.hand(f.tomb, nil)
}

// endKey settles what waits at the end of a key's versions: nothing older is
// in the input.
func (f *filter) endKey() error {
	if !f.run.empty() {
		known := unknownBase
		if f.bottom(f.user) {
			known = noBase
		}
		if err := f.flushRun(known); err != nil {
			return err
		}
	}
	if !f.hasTomb {
		return nil
	}
	if f.bottom(f.user) {
		f.hasTomb = false
		f.stats.Tombstones++
		return nil
	}
	return f.emitTomb()
}

// compactionInput is the file that damage in entries is said to be in: the run does not
// know which of its inputs they came from.
const compactionInput = "compaction input"

func malformed(key base.InternalKey, err error) error {
	return &base.CorruptionError{File: compactionInput, Offset: -1,
		Reason: fmt.Sprintf("malformed entry of kind %s, sequence number %d", key.Trailer.Kind(), key.Trailer.SeqNum()), Err: err}
}

func outOfOrder(key base.InternalKey) error {
	return &base.CorruptionError{File: compactionInput, Offset: -1,
		Reason: fmt.Sprintf("entry with sequence number %d out of order", key.Trailer.SeqNum())}
}
