package memtable

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/google/btree"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// KeyBytesMax is the length of the longest key.
const KeyBytesMax = 64 << 10

// payloadBytesMax is what the length in an entry of the arena can say, and a
// 32-bit machine address. Clients are limited to less.
const payloadBytesMax = 1<<31 - 1<<20

var errSeqNums = errors.New("sequence numbers are used up")

// Options of a new memtable. The zero value is good.
type Options struct {
	// Keyspace is the keyspace whose operations the memtable takes.
	Keyspace uint32

	// SizeBytes is about how large the memtable is meant to become. It may
	// become larger: its owner decides when to start another.
	SizeBytes int64

	// SkipHint is the SkipHint of an earlier memtable with similar keys, which
	// saves finding it out again. Not kept.
	SkipHint []byte
}

// Memtable is a sorted table of operations in memory. See the package for who
// may use it when.
type Memtable struct {
	keyspace uint32
	arena    arena
	probes   *probeTable // nil once released

	// mu guards the tree, the skip and tombs. Only the applying goroutine
	// changes them, so that it may read them without.
	mu    sync.RWMutex
	tree  *tree
	skip  skip
	tombs []rangedel.Tombstone

	// Used by the applying goroutine only.
	staged      [applyChunk]item
	nodes       *btree.FreeListG[item]
	nodesPooled bool
	skipCheckAt int  // size of the tree at which to reconsider the skip
	skipChosen  bool // from keys of this memtable

	// rangeDels is the Set of the first tombs, built when asked for.
	rangeDels   atomic.Pointer[rangeDelCache]
	rangeDelsMu sync.Mutex // held while building

	// Changed by the applying goroutine, read by anyone.
	bytes     atomic.Int64
	entries   atomic.Int64
	deletes   atomic.Int64
	tombCount atomic.Int64
	vlogBytes atomic.Uint64
	minSeq    atomic.Uint64
	maxSeq    atomic.Uint64
}

// itemBytes is what one item takes in the tree, unused room in its nodes
// included: measured, for random inserts.
const itemBytes = 40

// applyChunk is how many operations Apply inserts under one lock.
const applyChunk = 64

// New returns an empty memtable. Release gives its memory back.
func New(opts Options) *Memtable {
	m := &Memtable{
		keyspace:    opts.Keyspace,
		probes:      probePool.Get().(*probeTable),
		skip:        bytes.Clone(opts.SkipHint),
		skipCheckAt: skipFirstEntries,
	}
	m.nodes, m.nodesPooled = takeNodes(opts.SizeBytes)
	m.tree = m.newTree()
	return m
}

func (m *Memtable) newTree() *tree {
	return btree.NewWithFreeListG(treeDegree, m.less, m.nodes)
}

// Apply adds the leading run of operations that are of the memtable's keyspace,
// encoded as package base says; the first has sequence number seq and each next
// one the number after. rest is what follows that run: empty, or it begins with
// an operation of another keyspace, which has the sequence number next. rest
// aliases ops; nothing else of ops is kept. Sequence numbers ascend from call to
// call. ops that begin with another keyspace come back whole.
//
// On an error a part of the operations may have been added. They do no harm as
// long as their sequence numbers are never published.
func (m *Memtable) Apply(seq base.SeqNum, ops []byte) (rest []byte, next base.SeqNum, err error) {
	first := seq
	it := base.OpIter{B: ops}
	for more := true; more; {
		n := 0
		for n < applyChunk {
			rest = it.B
			op, ok, err := it.Next()
			if err != nil {
				return nil, seq, applyError(seq, err)
			}
			if !ok || op.Keyspace != m.keyspace {
				more = false
				break
			}
			isItem, err := m.stage(&m.staged[n], seq, op)
			if err != nil {
				return nil, seq, applyError(seq, err)
			}
			if isItem {
				n++
			}
			seq++
		}
		m.insert(m.staged[:n])
		m.reconsiderSkip()
	}
	if seq > first {
		m.minSeq.CompareAndSwap(0, uint64(first))
		m.maxSeq.Store(uint64(seq - 1))
	}
	return rest, seq, nil
}

func applyError(seq base.SeqNum, err error) error {
	return fmt.Errorf("memtable: apply at sequence number %d: %w", seq, err)
}

// stage copies an operation into the arena and counts it. isItem is false for
// a range delete, which has no place in the tree.
func (m *Memtable) stage(dst *item, seq base.SeqNum, op base.Op) (isItem bool, err error) {
	if seq > base.SeqNumMax {
		return false, errSeqNums
	}
	if err := checkLengths(len(op.Key), len(op.Payload)); err != nil {
		return false, err
	}
	switch op.Kind.Op() {
	case base.KindSetPointer:
		_, encoded, err := base.SplitPayload(op.Kind, op.Payload)
		if err != nil {
			return false, err
		}
		p, err := base.DecodePointer(encoded)
		if err != nil {
			return false, err
		}
		m.vlogBytes.Add(uint64(p.Size))
	case base.KindSet:
		if _, _, err := base.SplitPayload(op.Kind, op.Payload); err != nil {
			return false, err
		}
	case base.KindDelete:
		m.deletes.Add(1)
	case base.KindRangeDelete:
		return false, m.addRangeDel(seq, op)
	}
	pos, size, err := m.arena.add(op.Key, op.Payload)
	if err != nil {
		return false, err
	}
	*dst = item{
		prefix: m.skip.prefix(op.Key), trailer: base.MakeTrailer(seq, op.Kind),
		pos: pos, keyLen: uint32(len(op.Key)),
	}
	m.bytes.Add(int64(size) + itemBytes)
	m.entries.Add(1)
	return true, nil
}

// checkLengths checks what clients were told not to exceed long before.
func checkLengths(key, payload int) error {
	if key > KeyBytesMax {
		return base.ErrKeyTooLarge
	}
	if payload > payloadBytesMax {
		return base.ErrValueTooLarge
	}
	return nil
}

// insert puts staged items into the tree.
func (m *Memtable) insert(staged []item) {
	if len(staged) == 0 {
		return
	}
	m.mu.Lock()
	for _, it := range staged {
		_, replaced := m.tree.ReplaceOrInsert(it)
		invariants.Check(!replaced, "sequence number %d given twice", it.trailer.SeqNum())
	}
	m.mu.Unlock()
}

// Keyspace is the keyspace whose operations the memtable takes.
func (m *Memtable) Keyspace() uint32 { return m.keyspace }

// Get returns the newest version of key that visible sees. The payload is valid
// until Release. It does not look at range deletes: see RangeDels.
func (m *Memtable) Get(key []byte, visible base.SeqNum) (trailer base.Trailer, payload []byte, ok bool) {
	slot, pos := m.probes.take(key)
	m.mu.RLock()
	m.tree.AscendGreaterOrEqual(m.probe(pos, key, base.SeekTrailer(visible)), slot.visit)
	m.mu.RUnlock()
	it, found := slot.item, slot.found
	slot.giveBack()
	if !found || int(it.keyLen) != len(key) || !bytes.Equal(m.arena.key(it.pos, it.keyLen), key) {
		return 0, nil, false
	}
	return it.trailer, m.arena.payload(it.pos, it.keyLen), true
}

// Bytes is about how much memory the entries take.
func (m *Memtable) Bytes() int64 {
	n := m.bytes.Load()
	if c := m.rangeDels.Load(); c != nil {
		n += c.set.Bytes()
	}
	return n
}

// Entries is the number of operations, range deletes not counted.
func (m *Memtable) Entries() int { return int(m.entries.Load()) }

// Deletes is the number of deletions of single keys.
func (m *Memtable) Deletes() int { return int(m.deletes.Load()) }

// RangeDeletes is the number of range deletes.
func (m *Memtable) RangeDeletes() int { return int(m.tombCount.Load()) }

// VlogBytes is how much of the value log the entries point at.
func (m *Memtable) VlogBytes() uint64 { return m.vlogBytes.Load() }

// Empty reports whether nothing has been added.
func (m *Memtable) Empty() bool { return m.maxSeq.Load() == 0 }

// MinSeq is the smallest sequence number of an operation, 0 if there is none.
func (m *Memtable) MinSeq() base.SeqNum { return base.SeqNum(m.minSeq.Load()) }

// MaxSeq is the largest sequence number of an operation, 0 if there is none.
func (m *Memtable) MaxSeq() base.SeqNum { return base.SeqNum(m.maxSeq.Load()) }

// SkipHint is what to give to the next memtable as Options.SkipHint.
func (m *Memtable) SkipHint() []byte {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return bytes.Clone(m.skip)
}

// Release gives the memory back. The memtable, its cursors and everything they
// returned must be out of use; RangeDels's sets too.
func (m *Memtable) Release() {
	m.arena.release()
	if m.probes != nil {
		probePool.Put(m.probes)
	}
	if m.nodesPooled && m.tree != nil {
		m.tree.Clear(true)
		nodePool.Put(m.nodes)
	}
	m.probes, m.tree, m.nodes, m.tombs = nil, nil, nil, nil
	m.rangeDels.Store(nil)
}
