package iterator

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Merging walks the entries of several Iterators in one order.
//
// It keeps its sources sorted by their current keys, nearest first. A step
// moves the nearest source and, unless that stays the nearest, as it does for
// whole runs of entries when sources differ in size, inserts it at its new
// place. For the tens of sources that an LSM tree has, that costs less than a
// loser tree (Knuth, TAOCP vol. 3, 5.4.1): it runs through a few cache lines
// and mispredicts one branch, where it stops, not one per level of a tree.
//
// Sources always stand on the far side of the current entry, seen in the
// direction of the walk: walking forward, every other source stands on its
// first entry behind the current one, or is off its back. Turning round is
// therefore one Prev (or Next) of every source.
type Merging struct {
	// single is the only source, and does all the work, if there is just one.
	single Iterator

	sources []source
	heads   []head // heads[:live] stand on an entry, nearest first; the rest are at their end
	live    int
	walk    direction
	window  window
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
	user    []byte
	trailer base.Trailer
}

// head is what a source is sorted by, short of ties.
type head struct {
	prefix uint64 // of the current key; see window
	source int32
}

// NewMerging returns an Iterator over all entries of iters, which it owns from
// then on. No two of them may hold the same internal key.
func NewMerging(iters ...Iterator) *Merging {
	if len(iters) == 1 {
		return &Merging{single: iters[0]}
	}
	m := &Merging{sources: make([]source, len(iters)), heads: make([]head, len(iters))}
	for i, it := range iters {
		m.sources[i].it = it
		m.heads[i].source = int32(i)
	}
	return m
}

// load caches the key that s stands on and returns its prefix.
func (m *Merging) load(s *source) uint64 {
	k := s.it.Key()
	s.user, s.trailer = k.User, k.Trailer
	return m.window.prefix(k.User)
}

// nearer reports whether the key of source a comes before that of b in the
// direction of the walk.
func (m *Merging) nearer(a, b int32) bool {
	x, y := &m.sources[a], &m.sources[b]
	if m.walk == backward {
		x, y = y, x
	}
	if c := bytes.Compare(x.user, y.user); c != 0 {
		return c < 0
	}
	return x.trailer > y.trailer
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
	done := len(m.heads)
	for i := range m.sources {
		s := &m.sources[i]
		if move(s.it) {
			k := s.it.Key()
			s.user, s.trailer = k.User, k.Trailer
			m.heads[m.live].source = int32(i)
			m.live++
			continue
		}
		if err := s.it.Err(); err != nil {
			return m.fail(err)
		}
		done--
		m.heads[done].source = int32(i)
	}
	slices.SortFunc(m.heads[:m.live], func(a, b head) int {
		if m.nearer(a.source, b.source) {
			return -1
		}
		return 1
	})
	m.window.patience = patienceMin
	m.chooseWindow()
	return m.live > 0
}

// chooseWindow moves the window to where the current keys differ.
func (m *Merging) chooseWindow() (moved bool) {
	if m.live == 0 {
		return false
	}
	heads := m.heads[:m.live]
	moved = m.window.choose(m.sources[heads[0].source].user, m.sources[heads[m.live-1].source].user, m.walk)
	for i := range heads {
		heads[i].prefix = m.window.prefix(m.sources[heads[i].source].user)
	}
	return moved
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
	top := &m.sources[m.heads[0].source]
	if !top.it.Next() {
		return m.retire()
	}
	prefix := m.load(top)
	m.heads[0].prefix = prefix
	if m.live > 1 && prefix >= m.heads[1].prefix {
		m.sink(prefix)
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
	top := &m.sources[m.heads[0].source]
	if !top.it.Prev() {
		return m.retire()
	}
	prefix := m.load(top)
	m.heads[0].prefix = prefix
	if m.live > 1 && prefix >= m.heads[1].prefix {
		m.sink(prefix)
	}
	return true
}

// retire takes the nearest source, which ended or failed, out of the walk.
func (m *Merging) retire() bool {
	top := m.heads[0]
	if err := m.sources[top.source].it.Err(); err != nil {
		return m.fail(err)
	}
	m.live--
	copy(m.heads, m.heads[1:m.live+1])
	m.heads[m.live] = top
	return m.live > 0
}

// sink moves the nearest source, which may have passed others, to its place.
func (m *Merging) sink(prefix uint64) {
	heads := m.heads[:m.live]
	top := heads[0]
	i := 1
	for ; i < len(heads) && heads[i].prefix < prefix; i++ {
		heads[i-1] = heads[i]
	}
	tied := i < len(heads) && heads[i].prefix == prefix
	for ; i < len(heads) && heads[i].prefix == prefix && m.nearer(heads[i].source, top.source); i++ {
		heads[i-1] = heads[i]
	}
	heads[i-1] = top
	if tied {
		m.tie()
	}
}

// tie counts that a prefix did not tell two keys apart. Too many mean that the
// walk has left the keys that the window was chosen for.
func (m *Merging) tie() {
	w := &m.window
	if w.ties++; w.ties < w.patience {
		return
	}
	w.ties = 0
	if m.chooseWindow() {
		w.patience = patienceMin
	} else {
		w.patience = min(2*w.patience, patienceMax)
	}
}

// Key implements Iterator.
func (m *Merging) Key() base.InternalKey {
	if m.single != nil {
		return m.single.Key()
	}
	top := &m.sources[m.heads[0].source]
	return base.InternalKey{User: top.user, Trailer: top.trailer}
}

// Value implements Iterator.
func (m *Merging) Value() []byte {
	if m.single != nil {
		return m.single.Value()
	}
	return m.sources[m.heads[0].source].it.Value()
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
