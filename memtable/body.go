package memtable

import (
	"sync"

	"github.com/google/btree"

	"github.com/cordwood-db/cordwood/internal/base"
)

// body is what a memtable needs for entries: made with the first of them, since
// many memtables never get one, and pooled, since many get only a few. With it
// come its first node and its first slab, so that a small memtable allocates
// next to nothing.
type body struct {
	arena  arena
	probes probeTable

	// Guarded by the memtable's mu; only the applying goroutine changes them.
	tree *tree
	skip skip

	// Used by the applying goroutine only.
	staged [applyChunk]item
	first  *tree                  // what tree is at the beginning
	few    *btree.FreeListG[item] // nodes of first, kept in the pool with the body
	many   *btree.FreeListG[item] // nodes of large memtables, from nodePool; nil if not taken
}

// fewNodes is how many nodes a body keeps in the pool: 12 KiB.
const fewNodes = 4

// slotKeyBytesMax is how long a copy of a key a slot keeps in the pool.
const slotKeyBytesMax = 512

// bodyPool holds *body without entries.
var bodyPool = sync.Pool{New: func() any {
	b := &body{few: btree.NewFreeListG[item](fewNodes)}
	b.probes.init()
	b.first = b.newTree(b.few)
	b.tree = b.first
	return b
}}

// released takes the place of a body that was given back: a use of it after
// that panics, where "no entries" would be a lie.
var released = new(body)

func (b *body) newTree(nodes *btree.FreeListG[item]) *tree {
	return btree.NewWithFreeListG(treeDegree, b.less, nodes)
}

// rebuilt is the tree with another skip, on pooled nodes if there are any.
func (b *body) rebuilt(next skip) *tree {
	nodes := b.few
	if b.many != nil {
		nodes = b.many
	}
	t := b.newTree(nodes)
	b.tree.Ascend(func(it item) bool {
		it.prefix = next.prefix(b.arena.key(it.pos, it.keyLen))
		t.ReplaceOrInsert(it)
		return true
	})
	return t
}

// giveBack puts the body into the pool. Nothing may use it any more.
func (b *body) giveBack() {
	b.tree.Clear(true)
	b.tree, b.skip = b.first, nil
	if b.many != nil {
		nodePool.Put(b.many)
		b.many = nil
	}
	b.arena.release()
	for i := range b.probes.slots {
		if s := &b.probes.slots[i]; cap(s.key) > slotKeyBytesMax {
			s.key = nil
		}
	}
	bodyPool.Put(b)
}

// probe makes an item for a key in a slot. The caller holds the lock, since
// the skip may change.
func (b *body) probe(pos uint32, key []byte, trailer base.Trailer) item {
	return item{prefix: b.skip.prefix(key), trailer: trailer, pos: pos, keyLen: uint32(len(key))}
}
