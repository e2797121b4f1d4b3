package memtable

import (
	"bytes"
	"encoding/binary"
	"math"
	"sync"

	"github.com/google/btree"

	"github.com/cordwood-db/cordwood/internal/base"
)

// item stands for one operation in the tree. It has no pointer: nodes of the
// tree hold megabytes of items that the garbage collector need not look at.
type item struct {
	prefix  uint64       // eight key bytes behind the skip; see skip.prefix
	trailer base.Trailer // descends among equal keys
	pos     uint32       // of the entry in the arena, or a probe's number above probeBase
	keyLen  uint32
}

// tree is the sorted part of a memtable.
type tree = btree.BTreeG[item]

// treeDegree gives nodes of up to 127 items, 3 KiB. Degrees of 32 to 128 do not
// differ in measured time; 64 halves the allocations of 32, and moves half the
// memory of 128 when it inserts.
const treeDegree = 64

// Nodes of large memtables are used again, as slabs are: half of what a
// memtable takes from the Go allocator would be nodes, which grow and split.
const (
	// Memtables meant to be smaller leave theirs to the collector, but for those
	// that a body keeps. Larger ones take theirs when the first few are full.
	nodesPooledMin = 4 << 20

	nodesMax = 8 << 10 // kept per memtable: 24 MiB, enough for 100 MiB of 100-byte entries
)

// nodePool holds *btree.FreeListG[item] with the nodes of one memtable each.
var nodePool = sync.Pool{New: func() any { return btree.NewFreeListG[item](nodesMax) }}

// less is the order of the tree: user keys ascend, trailers descend.
func (b *body) less(x, y item) bool {
	if x.prefix != y.prefix {
		return x.prefix < y.prefix
	}
	if c := bytes.Compare(b.userKey(x), b.userKey(y)); c != 0 {
		return c < 0
	}
	return x.trailer > y.trailer
}

// userKey is the whole key of an item of the tree or of a probe.
func (b *body) userKey(it item) []byte {
	if it.pos >= probeBase {
		return b.probes.slots[it.pos-probeBase].key
	}
	return b.arena.key(it.pos, it.keyLen)
}

// skip is a prefix that keys are expected to share. The bytes behind it tell
// keys apart where the first bytes would not ("user000...").
//
// Keys that do not have the prefix are still ordered rightly, only slower: the
// map from keys to prefixes never descends, and equal prefixes are settled by
// comparing whole keys.
type skip []byte

// prefix is the number that stands for key in an item: zero for keys before
// the skip, all ones for keys behind it, and else the eight bytes after it,
// with zeros behind a shorter key.
func (s skip) prefix(key []byte) uint64 {
	if !bytes.HasPrefix(key, s) {
		if bytes.Compare(key, s) < 0 {
			return 0
		}
		return math.MaxUint64
	}
	key = key[len(s):]
	if len(key) >= 8 {
		return binary.BigEndian.Uint64(key)
	}
	var b [8]byte
	copy(b[:], key)
	return binary.BigEndian.Uint64(b[:])
}

// The skip is chosen from the keys seen so far, when there are enough of them
// to tell and again while starting over is cheap.
const (
	skipFirstEntries = 256
	skipAgainEntries = 4096
	skipLastEntries  = 1 << 16

	// skipSlack is by how much less than the shared prefix is skipped once keys
	// were seen to leave it, as ascending keys do. A hint may fall short by as
	// much, since it may come from there.
	skipSlack = 3
)

// reconsider rebuilds the tree, at a few sizes, with another skip where that
// promises cheaper comparisons, and on pooled nodes where the memtable will
// become large. Only the applying goroutine calls it; readers go on with the
// old tree meanwhile.
func (m *Memtable) reconsider(b *body) {
	n := b.tree.Len()
	if n < m.reconsiderAt {
		return
	}
	m.reconsiderAt = nextReconsider(n)
	next, better := m.betterSkip(b)
	takes := b.many == nil && m.sizeBytes >= nodesPooledMin
	if takes {
		b.many = nodePool.Get().(*btree.FreeListG[item])
	}
	if takes || better {
		old, rebuilt := b.tree, b.rebuilt(next)
		m.mu.Lock()
		b.tree, b.skip = rebuilt, next
		if m.sample != nil {
			m.sample.reskip(b, next)
		}
		m.mu.Unlock()
		old.Clear(true) // whoever was in it held the lock
	}
}

// betterSkip is the skip to go on with, and whether it differs.
func (m *Memtable) betterSkip(b *body) (next skip, better bool) {
	first, _ := b.tree.Min()
	last, _ := b.tree.Max()
	shared := sharedPrefix(b.userKey(first), b.userKey(last))
	fits := bytes.HasPrefix(shared, b.skip)
	switch {
	case fits && (m.skipChosen || len(shared) <= len(b.skip)+skipSlack):
		return b.skip, false
	case m.skipChosen: // keys have left it
		shared = shared[:max(0, len(shared)-skipSlack)]
	}
	m.skipChosen = true
	return bytes.Clone(shared), true
}

// nextReconsider is the size of the tree at which to reconsider it after
// having done so at n.
func nextReconsider(n int) int {
	switch {
	case n < skipAgainEntries:
		return skipAgainEntries
	case n < skipLastEntries:
		return skipLastEntries
	}
	return math.MaxInt
}

func sharedPrefix(a, b []byte) []byte {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return a[:i]
		}
	}
	return a[:n]
}
