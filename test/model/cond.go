package model

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// conditions are the conditional writes that a store and a keyspace have.
type conditions interface {
	PutIfAbsent(key, value []byte) (bool, error)
	PutIfAbsentTTL(key, value []byte, ttl time.Duration) (bool, error)
	CompareAndSwap(key, old, new []byte) (bool, error)
	GetAndDelete(key []byte) ([]byte, error)
	Add(key []byte, delta int64) (int64, error)
	Estimate(r db.Range) (db.Estimate, error)
}

// conditions are those of the space; those of the default one are the store's at
// times.
func (r *run) conditions(s *space) conditions {
	if s.id == 0 && r.draw.One(2) {
		return r.store
	}
	return s.handle
}

// conditional does a write that depends on what its key has.
func (r *run) conditional() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	key := r.key()
	have, ok := r.want.of(s).get(string(key), r.now)
	if !ok {
		have = nil
	} else if have == nil {
		have = []byte{}
	}
	put := write{in: s, now: r.now, op: 'p', key: key, value: r.valueFor(s.op), ttl: s.ttl}
	switch n := r.draw.IntN(5); {
	case n < 2:
		return r.putIfAbsent(put, have, n == 0)
	case n == 2:
		return r.compareAndSwap(put, have)
	case n == 3:
		r.note("get and delete %q of keyspace %d", key, s.id)
		got, err := r.conditions(s).GetAndDelete(key)
		if err := same(key, got, err, have, ok); err != nil || !ok {
			return err
		}
		return r.committed([]write{{in: s, now: r.now, op: 'd', key: key}}, r.syncs(db.DefaultDurability))
	}
	if s.op != nil && s.op.Name() == db.Union().Name() {
		return nil // it cannot merge numbers
	}
	return r.add(put, have)
}

func (r *run) putIfAbsent(put write, have []byte, ttl bool) error {
	var stored bool
	var err error
	if ttl {
		put.op, put.ttl = 't', 5e9
		stored, err = r.conditions(put.in).PutIfAbsentTTL(put.key, put.value, put.ttl)
	} else {
		stored, err = r.conditions(put.in).PutIfAbsent(put.key, put.value)
	}
	r.note("put if absent %q of keyspace %d, expires %v: %v", put.key, put.in.id, ttl, stored)
	if err != nil || stored != (have == nil) {
		return fmt.Errorf("PutIfAbsent(%q) = %v, %v over %s", put.key, stored, err, brief(have))
	}
	if stored {
		return r.committed([]write{put}, r.syncs(db.DefaultDurability))
	}
	return nil
}

func (r *run) compareAndSwap(put write, have []byte) error {
	old := have
	if r.draw.One(3) {
		if old = r.value(); have != nil && r.draw.One(2) {
			old = nil
		}
	}
	value := put.value
	if old != nil && r.draw.One(4) {
		put.op, value = 'd', nil
	}
	swapped, err := r.conditions(put.in).CompareAndSwap(put.key, old, value)
	r.note("compare and swap %q of keyspace %d: %v", put.key, put.in.id, swapped)
	if err != nil || swapped != ((old == nil) == (have == nil) && bytes.Equal(old, have)) {
		return fmt.Errorf("CompareAndSwap(%q, %s) = %v, %v over %s", put.key, brief(old), swapped, err, brief(have))
	}
	if swapped {
		return r.committed([]write{put}, r.syncs(db.DefaultDurability))
	}
	return nil
}

func (r *run) add(put write, have []byte) error {
	delta := int64(r.draw.IntN(100)) - 50
	r.note("add %d to %q of keyspace %d", delta, put.key, put.in.id)
	sum, err := r.conditions(put.in).Add(put.key, delta)
	before := int64(0)
	if have != nil {
		n, bad := db.CounterValue(have)
		if bad != nil {
			if err == nil {
				return fmt.Errorf("Add(%q) to %s gave %d", put.key, brief(have), sum)
			}
			return nil
		}
		before = n
	}
	if err != nil || sum != before+delta {
		return fmt.Errorf("Add(%q, %d) = %d, %v over %d", put.key, delta, sum, err, before)
	}
	put.value = db.CounterBytes(sum)
	return r.committed([]write{put}, r.syncs(db.DefaultDurability))
}

// estimate asks how much a range holds: of everything it is not too little.
func (r *run) estimate() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	if _, err := r.conditions(s).Estimate(r.drawRange()); err != nil {
		return fmt.Errorf("estimate: %w", err)
	}
	all, err := s.handle.Estimate(db.All())
	if live := len(wanted(r.want.of(s), db.All(), r.now)); err != nil || all.Keys < uint64(live) {
		return fmt.Errorf("estimate of keyspace %d: %+v, %v; %d keys are there", s.id, all, err, live)
	}
	return nil
}

// privateName is the keyspace of the sequences, and of what else is not in the model.
const privateName = "private"

// heldSequence is an open sequence.
type heldSequence struct {
	seq  *db.Sequence
	key  byte
	last uint64 // that it gave out
}

// given says that a number of a sequence was given out.
type given struct {
	key byte
	n   uint64
}

// useSequence opens, uses or closes a sequence. No number comes twice, whatever
// happens in between.
func (r *run) useSequence() error {
	n := len(r.sequences)
	if n == 0 || n < 4 && r.draw.One(10) {
		ks, err := r.store.Keyspace(privateName, nil)
		if err != nil {
			return err
		}
		h := &heldSequence{key: "xy"[r.draw.IntN(2)]}
		lease := uint64(r.draw.IntN(12))
		r.note("open sequence %c, lease %d", h.key, lease)
		h.seq, err = ks.Sequence([]byte{h.key}, lease)
		r.sequences = append(r.sequences, h)
		return err
	}
	at := r.draw.IntN(n)
	h := r.sequences[at]
	if r.draw.One(8) {
		r.note("close sequence %c", h.key)
		r.sequences = slices.Delete(r.sequences, at, at+1)
		if err := h.seq.Close(); err != nil {
			return err
		}
		if _, err := h.seq.Next(); !errors.Is(err, db.ErrClosed) {
			return fmt.Errorf("use of a closed sequence: %v", err)
		}
		return nil
	}
	for range 1 + r.draw.IntN(6) {
		n, err := h.seq.Next()
		if err != nil {
			return err
		}
		r.note("sequence %c gives %d", h.key, n)
		if r.given[given{h.key, n}] || n <= h.last {
			return fmt.Errorf("sequence %c: %d again, after %d", h.key, n, h.last)
		}
		r.given[given{h.key, n}], h.last = true, n
	}
	return nil
}
