package db

import (
	"cmp"
	"errors"
	"slices"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/memtable"
)

// generation is the memtables of one stretch of time, one for each keyspace.
// They take writes, are frozen and are flushed together: that way a WAL segment
// belongs to one generation, and one version edit replaces it as a whole.
type generation struct {
	refs atomic.Int32
	main *memtable.Memtable // that of the default keyspace

	// spaces are the memtables, ascending by keyspace. The slice is replaced,
	// never changed, by the commit side, and only while the generation takes
	// writes.
	spaces atomic.Pointer[[]spaceMem]

	// last is the largest sequence number of a commit, whether its keyspace is
	// still there or not: a log is replayed above it. Written by the commit side.
	last base.SeqNum

	// Written once when the generation is frozen, before it is queued to flush.
	nextSegment base.SegmentNum // segments before it hold nothing newer than this generation
}

// spaceMem is the memtable of one keyspace.
type spaceMem struct {
	num uint32
	*memtable.Memtable
}

// newGeneration makes a generation with a memtable for each of the keyspaces,
// which ascend from 0; older, if not nil, held keys like those to come.
func newGeneration(sizeBytes int64, keyspaces []uint32, older *generation) *generation {
	g := &generation{}
	g.refs.Store(1)
	spaces := make([]spaceMem, 0, len(keyspaces))
	for _, num := range keyspaces {
		spaces = append(spaces, newSpaceMem(sizeBytes, num, older))
	}
	g.main = spaces[0].Memtable
	g.spaces.Store(&spaces)
	return g
}

func newSpaceMem(sizeBytes int64, num uint32, older *generation) spaceMem {
	o := memtable.Options{SizeBytes: sizeBytes, Keyspace: num}
	if older != nil {
		if m := older.mem(num); m != nil {
			o.SkipHint = m.SkipHint()
		}
	}
	return spaceMem{num, memtable.New(o)}
}

// add gives a new keyspace its memtable. The caller is the commit side.
func (g *generation) add(sizeBytes int64, num uint32) {
	if g.mem(num) != nil {
		return
	}
	spaces := append(slices.Clone(*g.spaces.Load()), newSpaceMem(sizeBytes, num, nil))
	slices.SortFunc(spaces, func(a, b spaceMem) int { return cmp.Compare(a.num, b.num) })
	g.spaces.Store(&spaces)
}

// forget drops the memtable of a keyspace that is gone, or did not come to be,
// if it is empty. The caller is the commit side.
func (g *generation) forget(num uint32) {
	if m := g.mem(num); m == nil || !m.Empty() {
		return
	}
	spaces := slices.DeleteFunc(slices.Clone(*g.spaces.Load()), func(s spaceMem) bool { return s.num == num })
	g.spaces.Store(&spaces)
}

// mem is the memtable of a keyspace, nil if there is none.
func (g *generation) mem(num uint32) *memtable.Memtable {
	if num == 0 {
		return g.main
	}
	spaces := *g.spaces.Load()
	i, ok := slices.BinarySearchFunc(spaces, num, func(s spaceMem, n uint32) int { return cmp.Compare(s.num, n) })
	if !ok {
		return nil
	}
	return spaces[i].Memtable
}

func (g *generation) ref() { g.refs.Add(1) }

func (g *generation) unref() {
	if g.refs.Add(-1) != 0 {
		return
	}
	for _, m := range *g.spaces.Load() {
		m.Release()
	}
}

// errCount is about a commit that says another number of operations than it has.
var errCount = errors.New("count of operations is wrong")

// apply adds the operations of the commit that h starts. Those of keyspaces that
// it has no memtable for are handed to skip: their keyspace has been dropped.
func (g *generation) apply(h base.CommitHeader, ops []byte, skip func(base.SeqNum, base.Op) error) error {
	seq := h.FirstSeq
	for len(ops) > 0 {
		num, err := base.PeekKeyspace(ops)
		if err != nil {
			return err
		}
		if m := g.mem(num); m != nil {
			ops, seq, err = m.Apply(seq, ops)
		} else {
			ops, seq, err = skipKeyspace(seq, ops, num, skip)
		}
		if err != nil {
			return err
		}
	}
	if seq-h.FirstSeq != base.SeqNum(h.Count) {
		return errCount
	}
	g.last = max(g.last, seq-1)
	return nil
}

// skipKeyspace passes over the leading operations of a keyspace.
func skipKeyspace(seq base.SeqNum, ops []byte, num uint32, skip func(base.SeqNum, base.Op) error) ([]byte, base.SeqNum, error) {
	it := base.OpIter{B: ops}
	for {
		rest := it.B
		op, ok, err := it.Next()
		if err != nil || !ok {
			return nil, seq, err
		}
		if op.Keyspace != num {
			return rest, seq, nil
		}
		if err := skip(seq, op); err != nil {
			return nil, seq, err
		}
		seq++
	}
}

// Bytes is about how much memory the memtables take.
func (g *generation) Bytes() (n int64) {
	for _, m := range *g.spaces.Load() {
		n += m.Bytes()
	}
	return n
}

// VlogBytes is how much of the value log its entries point at.
func (g *generation) VlogBytes() (n uint64) {
	for _, m := range *g.spaces.Load() {
		n += m.VlogBytes()
	}
	return n
}

// Deletes is the number of deletions of single keys.
func (g *generation) Deletes() (n int) {
	for _, m := range *g.spaces.Load() {
		n += m.Deletes()
	}
	return n
}

// Empty reports whether nothing has been added.
func (g *generation) Empty() bool {
	for _, m := range *g.spaces.Load() {
		if !m.Empty() {
			return false
		}
	}
	return true
}

// hidesWork reports whether a flush would let compaction find garbage.
func (g *generation) hidesWork() bool {
	for _, m := range *g.spaces.Load() {
		if m.Deletes() > 0 || m.VlogBytes() > 0 || !m.RangeDels().Empty() {
			return true
		}
	}
	return false
}
