package model

import (
	"bytes"
	"maps"
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

// state is what a keyspace should hold. Never changed: see with.
type state map[string]entry

// get is the value of key at a time.
func (s state) get(key string, now time.Time) ([]byte, bool) {
	e, ok := s[key]
	if !ok {
		return nil, false
	}
	return e.at(now)
}

// world is the states of all keyspaces, by id. What is missing is empty.
type world map[int]state

// with is the world after writes.
func (w world) with(writes []write) world {
	next := maps.Clone(w)
	own := make(map[int]bool)
	for i := range writes {
		id := writes[i].in.id
		if !own[id] {
			own[id] = true
			if next[id] = maps.Clone(next[id]); next[id] == nil {
				next[id] = state{}
			}
		}
		next[id].apply(&writes[i])
	}
	return next
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

// apply carries out w. Only with calls it, on states of its own.
func (s state) apply(w *write) {
	switch w.op {
	case 'p':
		e := entry{value: w.value}
		if w.ttl > 0 {
			e.expiry = w.now.Add(w.ttl)
		}
		s[string(w.key)] = e
	case 't':
		s[string(w.key)] = entry{value: w.value, expiry: w.now.Add(w.ttl)}
	case 'd':
		delete(s, string(w.key))
	case 'r':
		maps.DeleteFunc(s, func(k string, _ entry) bool {
			return k >= string(w.key) && (w.end == nil || k < string(w.end))
		})
	case 'm':
		e, ok := s[string(w.key)]
		if !ok {
			e.none = true
		}
		e.operands, e.op = append(slices.Clip(e.operands), w.value), w.in.op
		s[string(w.key)] = e
	}
}

// item is a key and its value.
type item struct {
	key   string
	value []byte
}

// items are the keys of [lower, upper) in order.
func (s state) items(lower, upper []byte, bounded bool, now time.Time) []item {
	var items []item
	for k, e := range s {
		if k < string(lower) || bounded && k >= string(upper) {
			continue
		}
		if value, ok := e.at(now); ok {
			items = append(items, item{k, value})
		}
	}
	slices.SortFunc(items, func(a, b item) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	return items
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
