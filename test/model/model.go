package model

import (
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// entry is a value of the model: what was put, until it expires, and what was
// merged into it since, which stays.
type entry struct {
	value    []byte
	expiry   time.Time // of value; zero: never
	none     bool      // there is no value below the operands
	operands [][]byte  // oldest first
	op       db.MergeOperator
}

// at is the value at a time.
func (e *entry) at(now time.Time) ([]byte, bool) {
	has := !e.none && (e.expiry.IsZero() || now.Before(e.expiry))
	switch {
	case len(e.operands) == 0 && !has:
		return nil, false
	case len(e.operands) == 0:
		return e.value, true
	case !has:
		return e.merged(nil, false), true
	}
	return e.merged(e.value, true), true
}

// merged is what the operands make of a value. The model writes only values and
// operands that its operators understand.
func (e *entry) merged(value []byte, has bool) []byte {
	v, err := e.op.Merge([]byte{}, nil, value, has, e.operands)
	if err != nil {
		return []byte("model: " + err.Error())
	}
	return v
}

// write is one write of a batch.
type write struct {
	op         byte // p: put, t: put with expiry, d: delete, r: delete range, m: merge
	in         *space
	key, value []byte
	end        []byte // of a range; nil: none
	ttl        time.Duration
	now        time.Time // when it was made
}

// empty reports whether w deletes a range that has no keys: that is no write.
func (w *write) empty() bool { return w.op == 'r' && w.end != nil && string(w.end) <= string(w.key) }

// with is the state after w.
func (s state) with(w *write) state {
	key := string(w.key)
	switch w.op {
	case 'p', 't':
		e := entry{value: w.value}
		if w.ttl > 0 {
			e.expiry = w.now.Add(w.ttl)
		}
		return s.put(key, e)
	case 'd':
		return s.remove(key, key+"\x00", false)
	case 'r':
		return s.remove(key, string(w.end), w.end == nil)
	}
	e, ok := s.find(key)
	if !ok {
		e.none = true
	}
	e.operands, e.op = append(slices.Clip(e.operands), w.value), w.in.op
	return s.put(key, e)
}

// do carries w out: at once on a keyspace, later on a batch.
func (w *write) do(to db.Writer) error {
	switch w.op {
	case 'p':
		return to.Put(w.key, w.value)
	case 't':
		return to.PutTTL(w.key, w.value, w.ttl)
	case 'd':
		return to.Delete(w.key)
	case 'r':
		return to.DeleteRange(db.Between(w.key, w.end))
	}
	return to.Merge(w.key, w.value)
}
