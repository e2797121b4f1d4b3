package memtable

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

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
	keyspace  uint32
	sizeBytes int64

	// body is nil until the first operation comes.
	body atomic.Pointer[body]

	// mu guards what follows, and tree and skip in body. Only the applying
	// goroutine changes them, so that it may read them without.
	mu        sync.RWMutex
	tombs     []rangedel.Tombstone
	sample    *sample // for Estimate; nil in a small memtable
	dataBytes uint64  // keys and payloads of the entries in the tree

	// Used by the applying goroutine only.
	skipHint     []byte // for the body
	stagedBytes  uint64 // keys and payloads of the staged entries
	reconsiderAt int    // size of the tree at which to reconsider it
	skipChosen   bool   // from keys of this memtable

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

// New returns an empty memtable, which takes a few hundred bytes. Release gives
// its memory back.
func New(opts Options) *Memtable {
	return &Memtable{
		keyspace:     opts.Keyspace,
		sizeBytes:    opts.SizeBytes,
		skipHint:     bytes.Clone(opts.SkipHint),
		reconsiderAt: skipFirstEntries,
	}
}

// takeBody returns the body, which it takes from the pool the first time.
func (m *Memtable) takeBody() *body {
	b := m.body.Load()
	if b == nil {
		b = bodyPool.Get().(*body)
		b.skip = m.skipHint
		m.body.Store(b)
	}
	return b
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
	rest = ops
	for more := true; more; {
		var n int
		if n, rest, seq, more, err = m.stageChunk(seq, rest); err != nil {
			return nil, seq, fmt.Errorf("memtable: apply at sequence number %d: %w", seq, err)
		}
		if n > 0 {
			b := m.body.Load()
			m.insert(b, b.staged[:n])
			m.settleSample(b)
			m.reconsider(b)
		}
	}
	if seq > first {
		m.minSeq.CompareAndSwap(0, uint64(first))
		m.maxSeq.Store(uint64(seq - 1))
	}
	return rest, seq, nil
}

// stageChunk stages operations until n items are as many as go under one lock,
// or until none of the memtable's keyspace follows, which more tells.
func (m *Memtable) stageChunk(seq base.SeqNum, ops []byte) (n int, rest []byte, next base.SeqNum, more bool, err error) {
	it := base.OpIter{B: ops}
	m.stagedBytes = 0
	for n < applyChunk {
		rest = it.B
		op, ok, err := it.Next()
		if err != nil {
			return 0, nil, seq, false, err
		}
		if !ok || op.Keyspace != m.keyspace {
			return n, rest, seq, false, nil
		}
		b := m.takeBody()
		isItem, err := m.stage(b, &b.staged[n], seq, op)
		if err != nil {
			return 0, nil, seq, false, err
		}
		if isItem {
			n++
		}
		seq++
	}
	return n, it.B, seq, true, nil
}

// stage copies an operation into the arena and counts it. isItem is false for
// a range delete, which has no place in the tree.
func (m *Memtable) stage(b *body, dst *item, seq base.SeqNum, op base.Op) (isItem bool, err error) {
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
		return false, m.addRangeDel(b, seq, op)
	}
	pos, size, err := b.arena.add(op.Key, op.Payload)
	if err != nil {
		return false, err
	}
	*dst = item{
		prefix: b.skip.prefix(op.Key), trailer: base.MakeTrailer(seq, op.Kind),
		pos: pos, keyLen: uint32(len(op.Key)),
	}
	m.bytes.Add(int64(size) + itemBytes)
	m.entries.Add(1)
	m.stagedBytes += uint64(len(op.Key)) + uint64(len(op.Payload))
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
func (m *Memtable) insert(b *body, staged []item) {
	m.mu.Lock()
	for _, it := range staged {
		_, replaced := b.tree.ReplaceOrInsert(it)
		invariants.Check(!replaced, "sequence number %d given twice", it.trailer.SeqNum())
		if m.sample != nil {
			m.sample.add(b, it)
		}
	}
	m.dataBytes += m.stagedBytes
	m.mu.Unlock()
}

// Keyspace is the keyspace whose operations the memtable takes.
func (m *Memtable) Keyspace() uint32 { return m.keyspace }

// Get returns the newest version of key that visible sees. The payload is valid
// until Release. It does not look at range deletes: see RangeDels.
func (m *Memtable) Get(key []byte, visible base.SeqNum) (trailer base.Trailer, payload []byte, ok bool) {
	b := m.body.Load()
	if b == nil {
		return 0, nil, false
	}
	slot, pos := b.probes.take(key)
	m.mu.RLock()
	b.tree.AscendGreaterOrEqual(b.probe(pos, key, base.SeekTrailer(visible)), slot.visit)
	m.mu.RUnlock()
	it, found := slot.item, slot.found
	slot.giveBack()
	if !found || int(it.keyLen) != len(key) || !bytes.Equal(b.arena.key(it.pos, it.keyLen), key) {
		return 0, nil, false
	}
	return it.trailer, b.arena.payload(it.pos, it.keyLen), true
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
	b := m.body.Load()
	if b == nil {
		return bytes.Clone(m.skipHint)
	}
	m.mu.RLock()
	defer m.mu.RUnlock()
	return bytes.Clone(b.skip)
}

// Release gives the memory back. The memtable, its cursors and everything they
// returned must be out of use; RangeDels's sets too.
func (m *Memtable) Release() {
	if b := m.body.Swap(released); b != nil && b != released {
		b.giveBack()
	}
	m.tombs, m.sample = nil, nil
	m.rangeDels.Store(nil)
}
