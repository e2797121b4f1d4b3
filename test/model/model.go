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
	value  []byte
	expiry time.Time // of value; zero: never
	tail   []byte
	merged bool // tail counts
	none   bool // there is no value below the tail
}

// state is what the store should hold.
type state map[string]entry

func (s state) clone() state { return maps.Clone(s) }

// get is the value of key at a time.
func (s state) get(key string, now time.Time) ([]byte, bool) {
	e, ok := s[key]
	if !ok {
		return nil, false
	}
	return e.at(now)
}

// at is the value at a time.
func (e entry) at(now time.Time) ([]byte, bool) {
	gone := e.none || !e.expiry.IsZero() && !now.Before(e.expiry)
	switch {
	case !gone:
		return slices.Concat(e.value, e.tail), true
	case e.merged:
		return slices.Clone(e.tail), true
	}
	return nil, false
}

// write is one write of a batch.
type write struct {
	op         byte // p: put, t: put with expiry, d: delete, r: delete range, m: merge
	key, value []byte
	end        []byte // of a range; nil: none
	ttl        time.Duration
}

// apply carries out w at a time.
func (s state) apply(w write, now time.Time) {
	switch w.op {
	case 'p':
		s[string(w.key)] = entry{value: w.value}
	case 't':
		s[string(w.key)] = entry{value: w.value, expiry: now.Add(w.ttl)}
	case 'd':
		delete(s, string(w.key))
	case 'r':
		for k := range s {
			if k >= string(w.key) && (w.end == nil || k < string(w.end)) {
				delete(s, k)
			}
		}
	case 'm':
		e, ok := s[string(w.key)]
		if !ok {
			e.none = true
		}
		e.tail, e.merged = slices.Concat(e.tail, w.value), true
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

// add puts w into a batch.
func (w write) add(b *db.Batch) error {
	switch w.op {
	case 'p':
		return b.Put(w.key, w.value)
	case 't':
		return b.PutTTL(w.key, w.value, w.ttl)
	case 'd':
		return b.Delete(w.key)
	case 'r':
		return b.DeleteRange(db.Between(w.key, w.end))
	}
	return b.Merge(w.key, w.value)
}

// direct carries w out as a write of its own.
func (w write) direct(store *db.DB) error {
	switch w.op {
	case 'p':
		return store.Put(w.key, w.value)
	case 't':
		return store.PutTTL(w.key, w.value, w.ttl)
	case 'd':
		return store.Delete(w.key)
	case 'r':
		return store.DeleteRange(db.Between(w.key, w.end))
	}
	return store.Merge(w.key, w.value)
}
