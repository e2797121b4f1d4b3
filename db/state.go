package db

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/memtable"
)

// table is a memtable with what the engine needs to know about it.
type table struct {
	*memtable.Memtable
	refs atomic.Int32

	// Written once when the table is frozen, before it is queued to flush.
	nextSegment base.SegmentNum // segments before it hold nothing newer than this table
}

// newTable makes a memtable; older, if not nil, held keys like those to come.
func newTable(sizeBytes int64, older *table) *table {
	o := memtable.Options{SizeBytes: sizeBytes}
	if older != nil {
		o.SkipHint = older.SkipHint()
	}
	t := &table{Memtable: memtable.New(o)}
	t.refs.Store(1)
	return t
}

// applyOps adds the operations of one commit, all of keyspaces that the table
// has.
func (t *table) applyOps(seq base.SeqNum, ops []byte) error {
	rest, _, err := t.Apply(seq, ops)
	if err != nil || len(rest) == 0 {
		return err
	}
	ks, err := base.PeekKeyspace(rest)
	if err != nil {
		return err
	}
	return fmt.Errorf("keyspace %d is not known", ks)
}

func (t *table) ref() { t.refs.Add(1) }

func (t *table) unref() {
	if t.refs.Add(-1) == 0 {
		t.Release()
	}
}

// readState is all that a read needs: immutable (but for what the newest
// memtable still takes in) and reference-counted. It keeps its memtables and,
// through the version, its files.
type readState struct {
	refs    atomic.Int64
	mems    []*table // newest first; mems[0] takes the writes
	version *manifest.Version
	tombs   *tableTombs // of version
}

// tableTombs are the range deletes of all tables of a version, gathered when
// first asked for.
type tableTombs struct {
	none bool // no table has any
	mu   sync.Mutex
	set  atomic.Pointer[rangedel.Set]
}

func newTableTombs(v *manifest.Version) *tableTombs {
	for _, t := range v.Tables() {
		if t.RangeDels > 0 {
			return &tableTombs{}
		}
	}
	return &tableTombs{none: true}
}

// cached is the set if it is at hand.
func (t *tableTombs) cached() (set *rangedel.Set, ok bool) {
	if t.none {
		return nil, true
	}
	set = t.set.Load()
	return set, set != nil
}

// tableRangeDels is the set of range deletes in the tables of s, nil if there
// are none. A table that cannot be read is an error only for a caller who
// needs its keys; the others get what is known of the rest. Errors are not
// kept: the next call tries again.
func (db *DB) tableRangeDels(s *readState, needs func(*manifest.TableMeta) bool) (*rangedel.Set, error) {
	t := s.tombs
	if set, ok := t.cached(); ok {
		return set, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if set, ok := t.cached(); ok {
		return set, nil
	}
	var sets []*rangedel.Set
	whole := true
	for _, tables := range s.version.Trees[0].Levels {
		for _, meta := range tables {
			if meta.RangeDels == 0 {
				continue
			}
			h, err := db.tables.Get(meta.Num, meta.ID)
			switch {
			case err == nil:
				sets = append(sets, h.RangeDels())
				h.Release()
			case needs(meta):
				return nil, err
			default:
				whole = false
			}
		}
	}
	set := rangedel.Merge(sets...)
	if whole {
		t.set.Store(set)
	}
	return set, nil
}

// rangeDels is the set of all range deletes that s can see in r.
func (db *DB) rangeDels(s *readState, r Range) (*rangedel.Set, error) {
	var sets []*rangedel.Set
	for _, m := range s.mems {
		if set := m.RangeDels(); !set.Empty() {
			sets = append(sets, set)
		}
	}
	set, err := db.tableRangeDels(s, func(t *manifest.TableMeta) bool { return t.Overlaps(r.lower, r.upper) })
	if err != nil {
		return nil, err
	}
	if len(sets) == 0 {
		return set, nil
	}
	return rangedel.Merge(append(sets, set)...), nil
}

// newReadState takes over the caller's reference to version and adds its own
// references to mems. The result has one reference.
func newReadState(mems []*table, version *manifest.Version, tombs *tableTombs) *readState {
	for _, m := range mems {
		m.ref()
	}
	s := &readState{mems: mems, version: version, tombs: tombs}
	s.refs.Store(1)
	return s
}

// tryRef adds a reference unless the last one is gone already.
func (s *readState) tryRef() bool {
	for {
		n := s.refs.Load()
		if n == 0 {
			return false
		}
		if s.refs.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// acquire returns the current read state with a reference, and the sequence
// number to read it at: every commit up to it was published, and the state
// holds all of them and every value-log file that they point into.
//
// The state is loaded before the sequence number, so that no compaction can
// have dropped a version that this number needs; and again after it, so that
// no commit up to it can be missing from the state.
func (db *DB) acquire() (*readState, base.SeqNum) {
	for {
		s := db.state.Load()
		if s == nil || !s.tryRef() {
			if s == nil {
				return nil, 0
			}
			continue
		}
		seq := base.SeqNum(db.visible.Load())
		if db.state.Load() == s {
			return s, seq
		}
		db.release(s)
	}
}

// release gives a read state back and sees to files that nobody needs now.
func (db *DB) release(s *readState) {
	if s.refs.Add(-1) != 0 {
		return
	}
	for _, m := range s.mems {
		m.unref()
	}
	s.version.Unref()
	db.readers.Add(-1)
	db.wakeCleaner()
}
