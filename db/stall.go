package db

import (
	"math"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/manifest"
)

// throttle slows writers in proportion to the work that they leave behind: the
// more is left to compact, the longer each byte waits. There is no point at
// which writes stop and none at which they are let go again; only memory that
// is really full makes them wait.
type throttle struct {
	pressure atomic.Uint64 // float64 bits, 0 to 1
	next     atomic.Int64  // when the bytes let in so far are paid for, in nanoseconds since start
	start    time.Time
	waited   atomic.Int64 // nanoseconds
}

const (
	// A writer at pressure p may write at rateMax * 2^(-rateHalvings*p).
	rateMax      = 512 << 20 // bytes per second
	rateHalvings = 10
	// Shorter waits are saved up.
	waitMin = 500 * time.Microsecond
	waitMax = 100 * time.Millisecond
)

// rate is how many bytes per second are let in under a pressure of 0 to 1.
func rate(pressure float64) float64 {
	return rateMax * math.Exp2(-rateHalvings*pressure)
}

// ramp maps x to 0 below soft, 1 above hard, and a line between them.
func ramp(x, soft, hard float64) float64 {
	return min(max((x-soft)/(hard-soft), 0), 1)
}

// Where pressure starts and where it is full.
const (
	l0Soft, l0Hard     = 12, 48 // tables in level 0 of a keyspace
	debtSoft, debtHard = 1, 6   // bytes left to compact, by debtUnit
)

// updatePressureLocked recomputes the pressure after the read state changed.
// The caller holds mu.
func (db *DB) updatePressureLocked() {
	s := db.state.Load()
	if s == nil || db.opts.ReadOnly {
		return
	}
	v := s.version
	db.updateSpaceLocked(v)
	tables := 0
	for i := range s.views {
		tables = max(tables, len(s.views[i].tree.Levels[0]))
	}
	p := ramp(float64(tables), l0Soft, l0Hard)
	p = max(p, ramp(float64(db.debt(v))/db.debtUnit(v), debtSoft, debtHard))
	over := db.opts.SpaceAmpMax - 1
	p = max(p, ramp(db.amplification(s)-1, over*0.6, over))
	db.stall.pressure.Store(math.Float64bits(p))
}

// debtUnit is the compaction debt, in bytes, that is nothing unusual.
func (db *DB) debtUnit(v *manifest.Version) float64 {
	var total uint64
	for _, tree := range v.Trees {
		for level := range tree.Levels {
			total += tree.LevelBytes(level)
		}
	}
	return float64(max(total/2, 8*uint64(db.opts.MemtableBytes)))
}

// admit lets a commit of so many bytes in, at the time that back-pressure
// allows. It is called by each writer before it joins a group, so that nobody
// else waits with it.
func (db *DB) admit(bytes int64) error {
	if err := db.writable(); err != nil {
		return err
	}
	if db.memoryFull() {
		if err := db.awaitMemory(); err != nil {
			return err
		}
	}
	p := math.Float64frombits(db.stall.pressure.Load())
	if p == 0 {
		return nil
	}
	return db.delay(bytes, p)
}

// delay makes a writer wait for its share of what is let in.
func (db *DB) delay(bytes int64, p float64) error {
	t := &db.stall
	now := int64(time.Since(t.start))
	cost := int64(min(float64(bytes)/rate(p)*1e9, float64(time.Second)))
	var until int64
	for {
		old := t.next.Load()
		until = max(old, now) + cost
		if t.next.CompareAndSwap(old, until) {
			break
		}
	}
	wait := time.Duration(until - now)
	if wait < waitMin {
		return nil
	}
	wait = min(wait, waitMax)
	t.waited.Add(int64(wait))
	if !db.sleep(wait) {
		return db.writable()
	}
	return nil
}

// memoryFull reports whether the memtables have used up their share.
func (db *DB) memoryFull() bool {
	s := db.state.Load()
	if s == nil || len(s.gens) < 2 {
		return false
	}
	// The state may be released at any time; what is read of it is atomic.
	if !s.tryRef() {
		return false
	}
	defer db.release(s)
	return !db.roomFor(s)
}

// frozenMax bounds how many memtables wait for their flush.
const frozenMax = 16

// roomFor reports whether one more memtable may be frozen, or the newest one
// still has room.
func (db *DB) roomFor(s *readState) bool {
	return s.gens[0].Bytes() < db.opts.MemtableBytes || db.mayFreezeIn(s)
}

// mayFreezeIn reports whether memory allows one more frozen memtable.
func (db *DB) mayFreezeIn(s *readState) bool {
	var frozen int64
	for _, m := range s.gens[1:] {
		frozen += m.Bytes()
	}
	return frozen < (memtablesMax-1)*db.opts.MemtableBytes && len(s.gens) <= frozenMax
}

// mayFreeze is mayFreezeIn for the current read state. The caller is the
// commit side.
func (db *DB) mayFreeze() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	s := db.state.Load()
	return s != nil && db.mayFreezeIn(s)
}

// awaitMemory waits until a flush has freed memory. While flushes fail, as on a
// full disk, it returns their error.
func (db *DB) awaitMemory() error {
	start := time.Now()
	defer func() { db.stall.waited.Add(int64(time.Since(start))) }()
	return db.waitFor(db.ctx, func() (bool, error) {
		s := db.state.Load()
		switch {
		case s == nil:
			return false, ErrClosed
		case db.roomFor(s):
			return true, nil
		case db.jobs.flushErr != nil:
			// Waiting may take for ever. The caller can.
			return false, db.jobs.flushErr
		}
		return false, nil
	})
}
