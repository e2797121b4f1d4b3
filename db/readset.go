package db

import (
	"bytes"
	"cmp"
	"slices"
	"sort"
)

// readSet is what a transaction has read: keys, and ranges of keys it has
// looked through. Keys are copied into an arena as they come; seal brings them
// into order, which the questions need. The zero value is empty. It is used by
// one goroutine at a time, but may be asked by any once it is sealed.
//
// Its memory is bounded. Beyond readSetBytesMax, neighbouring keys and ranges
// become one range, gaps included. A transaction that reads very much may so
// meet conflicts that are none, but never misses one.
type readSet struct {
	arena  []byte
	keys   []readKey
	ranges []readRange
	sealed bool
	max    int // instead of readSetBytesMax, if not 0
}

// readSetBytesMax is the memory of a read set.
const readSetBytesMax = 16 * mib

// readKey is a key in the arena.
type readKey struct {
	keyspace uint32
	at, n    uint32
}

// readRange is [lower, upper) of a keyspace; open says that it has no upper.
type readRange struct {
	lower readKey
	upper readKey
	open  bool
}

const (
	readKeyBytes   = 12
	readRangeBytes = 28
)

func (r *readSet) bytes(k readKey) []byte { return r.arena[k.at : k.at+k.n : k.at+k.n] }

func (r *readSet) keep(keyspace uint32, key []byte) readKey {
	k := readKey{keyspace, uint32(len(r.arena)), uint32(len(key))}
	r.arena = append(r.arena, key...)
	return k
}

// size is about the memory of what is in the set.
func (r *readSet) size() int {
	return len(r.arena) + len(r.keys)*readKeyBytes + len(r.ranges)*readRangeBytes
}

func (r *readSet) empty() bool { return len(r.keys) == 0 && len(r.ranges) == 0 }

// addKey notes that a key was read.
func (r *readSet) addKey(keyspace uint32, key []byte) {
	if n := len(r.keys); n > 0 {
		if last := r.keys[n-1]; last.keyspace == keyspace && bytes.Equal(r.bytes(last), key) {
			return
		}
	}
	r.keys = append(r.keys, r.keep(keyspace, key))
	r.grown()
}

// addRange notes that all keys in [lower, upper) were looked at, also those
// that are not there. open says that the range has no upper end.
func (r *readSet) addRange(keyspace uint32, lower, upper []byte, open bool) {
	if !open && bytes.Compare(lower, upper) >= 0 {
		return
	}
	rg := readRange{lower: r.keep(keyspace, lower), open: open}
	if !open {
		rg.upper = r.keep(keyspace, upper)
	}
	r.ranges = append(r.ranges, rg)
	r.grown()
}

// grown holds the set to its bound after an addition.
func (r *readSet) grown() {
	r.sealed = false
	bound := cmp.Or(r.max, readSetBytesMax)
	if r.size() <= bound {
		return
	}
	r.seal()
	r.repack()
	for r.size() > bound/2 {
		before := len(r.keys) + len(r.ranges)
		r.coalesce()
		if len(r.ranges) == before {
			return // one range for each keyspace
		}
	}
}

// compare orders keys by keyspace, then bytewise.
func (r *readSet) compare(a, b readKey) int {
	return cmp.Or(cmp.Compare(a.keyspace, b.keyspace), bytes.Compare(r.bytes(a), r.bytes(b)))
}

// seal sorts the set: keys ascend, each once and in no range; ranges ascend and
// neither overlap nor touch.
func (r *readSet) seal() {
	if r.sealed {
		return
	}
	r.sealed = true
	if len(r.keys) > 1 {
		slices.SortFunc(r.keys, r.compare)
		r.keys = slices.CompactFunc(r.keys, func(a, b readKey) bool { return r.compare(a, b) == 0 })
	}
	if len(r.ranges) == 0 {
		return
	}
	slices.SortFunc(r.ranges, func(a, b readRange) int { return r.compare(a.lower, b.lower) })
	merged := r.ranges[:1]
	for _, next := range r.ranges[1:] {
		last := &merged[len(merged)-1]
		switch {
		case last.lower.keyspace != next.lower.keyspace,
			!last.open && r.compare(last.upper, next.lower) < 0:
			merged = append(merged, next)
		case last.open:
		case next.open:
			last.open, last.upper = true, readKey{}
		case r.compare(last.upper, next.upper) < 0:
			last.upper = next.upper
		}
	}
	r.ranges = merged
	r.keys = slices.DeleteFunc(r.keys, func(k readKey) bool { return r.inRange(k.keyspace, r.bytes(k)) })
}

// repack drops from the arena what nothing refers to any more.
func (r *readSet) repack() {
	old := readSet{arena: r.arena}
	r.arena = make([]byte, 0, len(r.arena)/2)
	for i, k := range r.keys {
		r.keys[i] = r.keep(k.keyspace, old.bytes(k))
	}
	for i := range r.ranges {
		rg := &r.ranges[i]
		rg.lower = r.keep(rg.lower.keyspace, old.bytes(rg.lower))
		if !rg.open {
			rg.upper = r.keep(rg.upper.keyspace, old.bytes(rg.upper))
		}
	}
}

// coalesceRun is how many neighbours become one range. A range has two ends:
// of n keys, 2n/coalesceRun stay.
const coalesceRun = 8

// coalesce makes ranges of runs of neighbours. The set is sealed, and stays so.
func (r *readSet) coalesce() {
	old := *r
	r.arena, r.keys, r.ranges = make([]byte, 0, len(old.arena)/2), nil, nil
	var run readRange // in the memory of old; its upper is included if point
	var point bool
	n := 0
	emit := func() {
		if n == 0 {
			return
		}
		out := readRange{lower: r.keep(run.lower.keyspace, old.bytes(run.lower)), open: run.open}
		if !run.open {
			out.upper = r.keep(run.upper.keyspace, old.bytes(run.upper))
			if point {
				r.arena = append(r.arena, 0) // the next key
				out.upper.n++
			}
		}
		r.ranges = append(r.ranges, out)
		n = 0
	}
	for k, g := 0, 0; k < len(old.keys) || g < len(old.ranges); {
		var next readRange
		isKey := g == len(old.ranges) ||
			k < len(old.keys) && old.compare(old.keys[k], old.ranges[g].lower) < 0
		if isKey {
			next = readRange{lower: old.keys[k], upper: old.keys[k]}
			k++
		} else {
			next = old.ranges[g]
			g++
		}
		if n == coalesceRun || n > 0 && run.lower.keyspace != next.lower.keyspace {
			emit()
		}
		if n == 0 {
			run.lower = next.lower
		}
		run.upper, run.open, point = next.upper, next.open, isKey
		n++
	}
	emit()
}

// inRange reports whether a range of the sealed set holds key.
func (r *readSet) inRange(keyspace uint32, key []byte) bool {
	i := r.rangeAfter(keyspace, key)
	if i == len(r.ranges) {
		return false
	}
	rg := r.ranges[i]
	return rg.lower.keyspace == keyspace && bytes.Compare(r.bytes(rg.lower), key) <= 0
}

// rangeAfter is the index of the first range that ends after key.
func (r *readSet) rangeAfter(keyspace uint32, key []byte) int {
	return sort.Search(len(r.ranges), func(i int) bool {
		rg := r.ranges[i]
		if rg.lower.keyspace != keyspace {
			return rg.lower.keyspace > keyspace
		}
		return rg.open || bytes.Compare(r.bytes(rg.upper), key) > 0
	})
}

// keyFrom is the index of the first key at or after key.
func (r *readSet) keyFrom(keyspace uint32, key []byte) int {
	return sort.Search(len(r.keys), func(i int) bool {
		k := r.keys[i]
		if k.keyspace != keyspace {
			return k.keyspace > keyspace
		}
		return bytes.Compare(r.bytes(k), key) >= 0
	})
}

// hasKey reports whether the sealed set holds key, by itself or in a range.
func (r *readSet) hasKey(keyspace uint32, key []byte) bool {
	if i := r.keyFrom(keyspace, key); i < len(r.keys) {
		if k := r.keys[i]; k.keyspace == keyspace && bytes.Equal(r.bytes(k), key) {
			return true
		}
	}
	return r.inRange(keyspace, key)
}

// overlaps reports whether the sealed set holds a key of [start, end).
func (r *readSet) overlaps(keyspace uint32, start, end []byte) bool {
	if i := r.keyFrom(keyspace, start); i < len(r.keys) {
		if k := r.keys[i]; k.keyspace == keyspace && bytes.Compare(r.bytes(k), end) < 0 {
			return true
		}
	}
	if i := r.rangeAfter(keyspace, start); i < len(r.ranges) {
		rg := r.ranges[i]
		return rg.lower.keyspace == keyspace && bytes.Compare(r.bytes(rg.lower), end) < 0
	}
	return false
}

// readSetKeepMax is how much memory an empty set keeps for its next use.
const readSetKeepMax = 64 * kib

// reset makes the set empty.
func (r *readSet) reset() {
	if cap(r.arena)+cap(r.keys)*readKeyBytes+cap(r.ranges)*readRangeBytes > readSetKeepMax {
		*r = readSet{max: r.max}
		return
	}
	r.arena, r.keys, r.ranges, r.sealed = r.arena[:0], r.keys[:0], r.ranges[:0], false
}
