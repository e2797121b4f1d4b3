package iterator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Merging walks the entries of several Iterators in one order.
//
// It keeps its sources sorted by their current keys, nearest first. A step
// moves the nearest source and, unless that stays the nearest, as it does for
// whole runs of entries when sources differ in size, looks up its new place by
// binary search. With the tens of sources that an LSM tree has this takes no
// more comparisons than a loser tree (Knuth, TAOCP vol. 3, 5.4.1) and touches
// less memory, and the second-nearest is at hand.
//
// Sources always stand on the far side of the current entry, seen in the
// direction of the walk: walking forward, every other source stands on its
// first entry behind the current one, or is off its back. Turning round is
// therefore one Prev (or Next) of every source.
type Merging struct {
	// single is the only source, and does all the work, if there is just one.
	single Iterator

	sources []source
	order   []*source // order[:live] stand on an entry, nearest first; the rest are at their end
	live    int
	walk    direction
	err     error
}

var _ Iterator = (*Merging)(nil)

// direction is where a Merging is walking.
type direction uint8

const (
	stopped  direction = iota // not positioned yet, or stopped by an error
	forward                   // sources stand on or behind the current entry, or off the back
	backward                  // sources stand on or before the current entry, or off the front
)

// source is one Iterator of a Merging, with its current key at hand.
type source struct {
	it      Iterator
	prefix  uint64 // first eight bytes of user, big-endian, zeros after a shorter key
	user    []byte
	trailer base.Trailer
}

// NewMerging returns an Iterator over all entries of iters, which it owns from
// then on. No two of them may hold the same internal key.
func NewMerging(iters ...Iterator) *Merging {
	if len(iters) == 1 {
		return &Merging{single: iters[0]}
	}
	m := &Merging{sources: make([]source, len(iters)), order: make([]*source, len(iters))}
	for i, it := range iters {
		m.sources[i].it = it
		m.order[i] = &m.sources[i]
	}
	return m
}

// load caches the key that s stands on.
func (s *source) load() {
	k := s.it.Key()
	s.user, s.trailer = k.User, k.Trailer
	if len(k.User) >= 8 {
		s.prefix = binary.BigEndian.Uint64(k.User)
		return
	}
	var b [8]byte
	copy(b[:], k.User)
	s.prefix = binary.BigEndian.Uint64(b[:])
}

// before reports whether a's key is before b's in internal order.
func before(a, b *source) bool {
	if a.prefix != b.prefix {
		return a.prefix < b.prefix
	}
	if c := bytes.Compare(a.user, b.user); c != 0 {
		return c < 0
	}
	return a.trailer > b.trailer
}

// nearer reports whether a comes before b in the direction of the walk.
func (m *Merging) nearer(a, b *source) bool {
	if m.walk == forward {
		return before(a, b)
	}
	return before(b, a)
}

// First implements Iterator.
func (m *Merging) First() bool {
	if m.single != nil {
		return m.single.First()
	}
	return m.position(forward, Iterator.First)
}

// Last implements Iterator.
func (m *Merging) Last() bool {
	if m.single != nil {
		return m.single.Last()
	}
	return m.position(backward, Iterator.Last)
}

// SeekGE implements Iterator.
func (m *Merging) SeekGE(user []byte, trailer base.Trailer) bool {
	if m.single != nil {
		return m.single.SeekGE(user, trailer)
	}
	return m.position(forward, func(it Iterator) bool { return it.SeekGE(user, trailer) })
}

// SeekLT implements Iterator.
func (m *Merging) SeekLT(user []byte) bool {
	if m.single != nil {
		return m.single.SeekLT(user)
	}
	return m.position(backward, func(it Iterator) bool { return it.SeekLT(user) })
}

// position moves every source and sorts them for a walk in the given
// direction. It stops at the first error.
func (m *Merging) position(walk direction, move func(Iterator) bool) bool {
	m.walk, m.err, m.live = walk, nil, 0
	done := len(m.order)
	for i := range m.sources {
		s := &m.sources[i]
		if move(s.it) {
			s.load()
			m.order[m.live] = s
			m.live++
			continue
		}
		if err := s.it.Err(); err != nil {
			return m.fail(err)
		}
		done--
		m.order[done] = s
	}
	slices.SortFunc(m.order[:m.live], func(a, b *source) int {
		if m.nearer(a, b) {
			return -1
		}
		return 1
	})
	return m.live > 0
}

// fail stops the walk.
func (m *Merging) fail(err error) bool {
	m.walk, m.err, m.live = stopped, err, 0
	return false
}

// Next implements Iterator.
func (m *Merging) Next() bool {
	if m.single != nil {
		return m.single.Next()
	}
	if m.walk != forward {
		return m.walk != stopped && m.position(forward, Iterator.Next)
	}
	if m.live == 0 {
		return false
	}
	top := m.order[0]
	if !top.it.Next() {
		return m.retire()
	}
	top.load()
	if m.live > 1 && !before(top, m.order[1]) {
		m.sink()
	}
	return true
}

// Prev implements Iterator.
func (m *Merging) Prev() bool {
	if m.single != nil {
		return m.single.Prev()
	}
	if m.walk != backward {
		return m.walk != stopped && m.position(backward, Iterator.Prev)
	}
	if m.live == 0 {
		return false
	}
	top := m.order[0]
	if !top.it.Prev() {
		return m.retire()
	}
	top.load()
	if m.live > 1 && !before(m.order[1], top) {
		m.sink()
	}
	return true
}

// retire takes the nearest source, which ended or failed, out of the walk.
func (m *Merging) retire() bool {
	top := m.order[0]
	if err := top.it.Err(); err != nil {
		return m.fail(err)
	}
	m.live--
	copy(m.order, m.order[1:m.live+1])
	m.order[m.live] = top
	return m.live > 0
}

// sink moves the nearest source, which has passed at least the next one, to
// its place.
func (m *Merging) sink() {
	top := m.order[0]
	lo, hi := 1, m.live-1 // order[lo] is nearer than top; order[hi+1] is not
	for lo < hi {
		mid := int(uint(lo+hi+1) >> 1)
		if m.nearer(m.order[mid], top) {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	copy(m.order, m.order[1:lo+1])
	m.order[lo] = top
}

// Key implements Iterator.
func (m *Merging) Key() base.InternalKey {
	if m.single != nil {
		return m.single.Key()
	}
	top := m.order[0]
	return base.InternalKey{User: top.user, Trailer: top.trailer}
}

// Value implements Iterator.
func (m *Merging) Value() []byte {
	if m.single != nil {
		return m.single.Value()
	}
	return m.order[0].it.Value()
}

// Err implements Iterator.
func (m *Merging) Err() error {
	if m.single != nil {
		return m.single.Err()
	}
	return m.err
}

// Close closes every source and joins their errors.
func (m *Merging) Close() error {
	if m.single != nil {
		return m.single.Close()
	}
	var err error
	for i := range m.sources {
		err = errors.Join(err, m.sources[i].it.Close())
	}
	if m.err != nil && !errors.Is(err, m.err) {
		err = errors.Join(m.err, err)
	}
	m.walk, m.live = stopped, 0
	return err
}
