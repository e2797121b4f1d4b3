package model

import (
	"hash/maphash"
	"iter"
	"slices"
	"time"
)

// state is what a keyspace should hold, in the order of keys. It is never
// changed: put and its like return another one, which shares most of it. So each
// commit can have its state kept.
//
// It is a treap (Seidel, Aragon: Randomized Search Trees, 1996): a search tree
// by key and a heap by a hash of the key, so that its form depends on the keys
// alone.
type state struct{ root *node }

// node is a key of a state. Immutable.
type node struct {
	key         string
	hash        uint64
	entry       entry
	left, right *node
}

var hashSeed = maphash.MakeSeed()

// find is the entry of key.
func (s state) find(key string) (entry, bool) {
	for n := s.root; n != nil; {
		switch {
		case key == n.key:
			return n.entry, true
		case key < n.key:
			n = n.left
		default:
			n = n.right
		}
	}
	return entry{}, false
}

// get is the value of key at a time.
func (s state) get(key string, now time.Time) ([]byte, bool) {
	e, ok := s.find(key)
	if !ok {
		return nil, false
	}
	return e.at(now)
}

// put is the state with another entry of key.
func (s state) put(key string, e entry) state {
	return state{insert(s.root, &node{key: key, hash: maphash.String(hashSeed, key), entry: e})}
}

// remove is the state without the keys of [lower, upper); open is without an
// upper end.
func (s state) remove(lower, upper string, open bool) state {
	below, rest := split(s.root, lower)
	if open {
		return state{below}
	}
	_, above := split(rest, max(lower, upper))
	return state{join(below, above)}
}

// insert puts a new node into a tree, in place of one with its key.
func insert(n, added *node) *node {
	if n == nil || n.key != added.key && n.hash < added.hash {
		added.left, added.right = split(n, added.key)
		return added
	}
	c := *n
	switch {
	case added.key == n.key:
		added.left, added.right = n.left, n.right
		return added
	case added.key < n.key:
		c.left = insert(n.left, added)
	default:
		c.right = insert(n.right, added)
	}
	return &c
}

// split makes of a tree one of the keys below key and one of the others.
func split(n *node, key string) (below, others *node) {
	if n == nil {
		return nil, nil
	}
	c := *n
	if n.key < key {
		c.right, others = split(n.right, key)
		return &c, others
	}
	below, c.left = split(n.left, key)
	return below, &c
}

// join makes one tree of two, of which the first has the lesser keys.
func join(a, b *node) *node {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.hash > b.hash:
		c := *a
		c.right = join(a.right, b)
		return &c
	}
	c := *b
	c.left = join(a, b.left)
	return &c
}

// all walks the keys of [lower, upper) in order; open is without an upper end.
func (s state) all(lower, upper string, open bool) iter.Seq[*node] {
	return func(yield func(*node) bool) { walk(s.root, lower, upper, open, yield) }
}

func walk(n *node, lower, upper string, open bool, yield func(*node) bool) bool {
	if n == nil {
		return true
	}
	if n.key >= lower && !walk(n.left, lower, upper, open, yield) {
		return false
	}
	if !open && n.key >= upper {
		return true
	}
	return (n.key < lower || yield(n)) && walk(n.right, lower, upper, open, yield)
}

// item is a key and its value.
type item struct {
	key     string
	value   []byte
	expires time.Time // zero: never; of a merged value it is not known
	merged  bool
}

// items are the keys of [lower, upper) that have a value, in order.
func (s state) items(lower, upper []byte, bounded bool, now time.Time) []item {
	var items []item
	for n := range s.all(string(lower), string(upper), !bounded) {
		if value, ok := n.entry.at(now); ok {
			items = append(items, item{n.key, value, n.entry.expiry, len(n.entry.operands) > 0})
		}
	}
	return items
}

// world is the states of all keyspaces, by id. What is missing is empty.
type world []state

// of is what a keyspace should hold.
func (w world) of(s *space) state {
	if s.id >= len(w) {
		return state{}
	}
	return w[s.id]
}

// with is the world after writes.
func (w world) with(writes []write) world {
	next := slices.Clone(w)
	for i := range writes {
		id := writes[i].in.id
		for id >= len(next) {
			next = append(next, state{})
		}
		next[id] = next[id].with(&writes[i])
	}
	return next
}
