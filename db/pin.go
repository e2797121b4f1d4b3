package db

import (
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
)

// pin is a read state that a snapshot or a transaction stays with, because a
// compaction filter is about to drop values that it sees. The zero value holds
// none.
//
// Who reads at an old sequence number otherwise takes the newest state, where
// compaction has kept what that number sees. A filter does not: it would either
// have to leave alone all that any reader sees, which in a store that always has
// a transaction open is everything, or change what that reader sees. So young
// readers keep the state from before the run; they are gone soon, and with them
// the files that they hold. What the others see is left alone: they might hold
// old files for long.
type pin struct {
	state atomic.Pointer[readState]
}

// pinAgeMax is up to which age a reader is pinned rather than spared.
const pinAgeMax = 10 * time.Second

// keep pins the newest state, unless there is one already. false: the store is
// closed. Called with registry.mu held, and so before the run begins.
func (p *pin) keep(db *DB) bool {
	if p.state.Load() != nil {
		return true
	}
	s, _ := db.acquire()
	if s == nil {
		return false
	}
	if !p.state.CompareAndSwap(nil, s) {
		db.release(s)
	}
	return true
}

// acquire is DB.acquire for the reader whose pin it is, to read ks; nil if the
// store or the reader is closed. A keyspace that was made or dropped since the
// state was pinned is read in the newest one, which knows: what is in one that
// was made since is too new for the reader anyhow.
func (p *pin) acquire(db *DB, ks *Keyspace) *readState {
	for {
		if s := p.state.Load(); s != nil {
			if ks.dropped.Load() || s.view(ks.num) == nil {
				s, _ = db.acquire()
				return s
			}
			if s.tryRef() {
				return s
			}
			continue // it has just been dropped
		}
		s, _ := db.acquire()
		// In this order: without a pin after the state was taken, no run that
		// began later can have changed the state.
		if s == nil || p.state.Load() == nil {
			return s
		}
		db.release(s)
	}
}

// drop lets go of the state.
func (p *pin) drop(db *DB) {
	if s := p.state.Swap(nil); s != nil {
		db.release(s)
	}
}

// beginFilter is called before a run with a compaction filter lists the
// snapshots, endFilter once its edit has been applied or given up. The filter
// may decide about values newer than above: readers at snapshots that see those
// are pinned, and so is each that opens before endFilter.
func (db *DB) beginFilter() (above base.SeqNum) {
	r := &db.opened
	r.mu.Lock()
	defer r.mu.Unlock()
	r.filtering++
	now := time.Now()
	spare := func(p *pin, seq base.SeqNum, began time.Time) {
		if p.state.Load() == nil && (now.Sub(began) > pinAgeMax || !p.keep(db)) {
			above = max(above, seq)
		}
	}
	for _, s := range r.snapshots {
		spare(&s.pin, s.seq, s.began)
	}
	for c := r.txs; c != nil; c = c.next {
		spare(&c.pin, c.seq, c.began)
	}
	return above
}

func (r *registry) endFilter() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.filtering--
}
