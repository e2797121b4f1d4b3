package db

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/cordwood-db/cordwood/internal/base"
)

// registry knows the open snapshots, transactions and cursors: which sequence
// numbers are in use, and where what was left open had been opened.
type registry struct {
	mu        sync.Mutex
	cursors   map[*handle]*Cursor
	snapshots map[*handle]*Snapshot
	txs       *txCore // list of the open transactions
	listed    uint64  // how often snapshotSeqs was called
	filtering int     // runs whose compaction filter may drop what is visible
}

// handle is an entry of the registry.
type handle struct {
	pcs [8]uintptr // where it was opened
	n   int
}

// newHandle notes the stack but for its innermost frames.
func newHandle(skip int) *handle {
	h := &handle{}
	h.n = runtime.Callers(1+skip, h.pcs[:])
	return h
}

// String is the stack that opened the handle, outermost last.
func (h *handle) String() string {
	var b strings.Builder
	frames := runtime.CallersFrames(h.pcs[:h.n])
	for {
		f, more := frames.Next()
		fmt.Fprintf(&b, "%s (%s:%d)\n", f.Function, f.File, f.Line)
		if !more {
			return b.String()
		}
	}
}

func (r *registry) addCursor(c *Cursor) *handle {
	h := newHandle(4)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cursors == nil {
		r.cursors = make(map[*handle]*Cursor)
	}
	r.cursors[h] = c
	return h
}

// addSnapshot registers s and gives it its sequence number. Both happen under
// the registry's lock: a compaction that lists the snapshots afterwards sees
// this one, and one that listed them before works on versions that are not
// newer. While a run with a filter is under way it is pinned, too. false: the
// store is closed.
func (r *registry) addSnapshot(s *Snapshot) bool {
	s.handle = newHandle(3)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.snapshots == nil {
		r.snapshots = make(map[*handle]*Snapshot)
	}
	var ok bool
	if s.seq, ok = r.position(s.db, &s.pin); ok {
		r.snapshots[s.handle] = s
	}
	return ok
}

// position is the sequence number for a reader that opens now. Called with mu
// held.
//
// A pin is of the same moment: a state that is taken later may be one that a
// filter has changed by what was committed since the sequence number.
func (r *registry) position(db *DB, p *pin) (seq base.SeqNum, ok bool) {
	if r.filtering == 0 {
		return base.SeqNum(db.visible.Load()), true
	}
	s, seq := db.acquire()
	p.state.Store(s)
	return seq, s != nil
}

func (r *registry) remove(h *handle) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.cursors, h)
	delete(r.snapshots, h)
}

// snapshotSeqs are the sequence numbers of the open snapshots and transactions,
// ascending, each once.
func (r *registry) snapshotSeqs() []base.SeqNum {
	r.mu.Lock()
	defer r.mu.Unlock()
	seqs := make([]base.SeqNum, 0, len(r.snapshots))
	for _, s := range r.snapshots {
		seqs = append(seqs, s.seq)
	}
	r.listed++
	for c := r.txs; c != nil; c = c.next {
		seqs = append(seqs, c.seq)
	}
	slices.Sort(seqs)
	return slices.Compact(seqs)
}

// closeAll closes every cursor and forgets every snapshot and transaction. It
// returns where each was opened.
func (r *registry) closeAll() (cursors, snapshots, txs []string) {
	r.mu.Lock()
	open, taken := r.cursors, r.snapshots
	r.cursors, r.snapshots = nil, nil
	txs, unpin := r.closeTxs()
	r.mu.Unlock()
	for _, release := range unpin {
		release()
	}
	for h, s := range taken {
		s.shut()
		snapshots = append(snapshots, h.String())
	}
	for h, c := range open {
		cursors = append(cursors, h.String())
		_ = c.shut()
	}
	return cursors, snapshots, txs
}

// counts is how many snapshots, cursors and transactions are open.
func (r *registry) counts() (snapshots, cursors, txs int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := r.txs; c != nil; c = c.next {
		txs++
	}
	return len(r.snapshots), len(r.cursors), txs
}
