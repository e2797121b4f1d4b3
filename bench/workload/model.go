package workload

import (
	"sync/atomic"
	"time"
)

// Model knows what a store must hold. It survives from phase to phase. Reading
// it is safe for concurrent use; a key has one writer at a time, which has
// claimed it.
//
// Records are numbered in the order in which they are stored: record r has the
// key with index r if the store was filled in order, else with the index that a
// random permutation gives.
type Model struct {
	data Data
	keys keys
	gen  *generator

	words  []words
	blocks []atomic.Int32 // how many keys of each block are certainly there
	hashed atomic.Bool
	order  permutation
	// visible is how many records there are: all below were acknowledged. next
	// is the number of the next one to be inserted.
	visible, next atomic.Uint64

	// Made when a workload first needs them, before its clients start.
	starts  []atomic.Uint32 // version of the first record of each value, for merges
	expires []atomic.Uint64 // earliest<<32 | latest end of each value's time; 0: none
	epoch   time.Time

	// Of the transactional workloads: what they have in the store, nil if
	// nothing. Changed while no client is at work.
	accounts, counters *ledger
}

// words are what the Model knows about a key.
type words struct {
	acknowledged atomic.Uint32 // version of the last write that has ended; 0: none
	issued       atomic.Uint32 // version of the last write that has begun
	deleted      atomic.Uint32 // version of the last deletion that has begun; 0: none
}

const blockKeys = 1024

// NewModel returns the Model of an empty store. d has been checked.
func NewModel(d *Data) *Model {
	return &Model{
		data:   *d,
		keys:   newKeys(d.KeyBytes, d.Seed),
		gen:    newGenerator(d),
		words:  make([]words, d.Capacity),
		blocks: make([]atomic.Int32, (d.Capacity+blockKeys-1)/blockKeys),
		order:  newPermutation(uint64(d.Capacity), d.Seed^0x6f72646572),
		epoch:  time.Now(),
	}
}

// Data is the shape of the data.
func (m *Model) Data() *Data { d := m.data; return &d }

// Forget is for a new, empty store: no client may be at work.
func (m *Model) Forget() {
	clear(m.words)
	clear(m.blocks)
	m.hashed.Store(false)
	m.visible.Store(0)
	m.next.Store(0)
	m.starts, m.expires = nil, nil
	m.accounts, m.counters = nil, nil
}

// Bytes is the memory of the Model, but for what merges and times to live add.
func (m *Model) Bytes() int64 {
	return int64(len(m.words))*3*4 + int64(len(m.blocks))*4 + int64(len(m.gen.pool))
}

// Room is how many records can be inserted before there is no room left.
func (m *Model) Room() int { return len(m.words) - m.Records() }

// Records is how many records there are, those deleted since included.
func (m *Model) Records() int { return int(m.visible.Load()) }

// Live counts the keys that are in the store, those of the transactional
// workloads included, and the bytes of them and their values. No client may be
// at work.
func (m *Model) Live() (count int, bytes uint64) {
	now := m.now()
	for i := m.nextLive(0, 1); i < uint64(len(m.words)); i = m.nextLive(i+1, 1) {
		if m.expires != nil {
			if end := m.expires[i].Load(); end != 0 && uint32(end) < now {
				continue
			}
		}
		count++
		last := m.words[i].acknowledged.Load()
		bytes += uint64(m.keys.bytes)
		identity := m.gen.identity(i)
		for v := m.start(i, last); v <= last; v++ {
			bytes += uint64(m.gen.length(identity, v))
		}
	}
	for _, l := range []*ledger{m.accounts, m.counters} {
		if l != nil {
			count += l.len()
			bytes += l.bytes()
		}
	}
	return count, bytes
}

// place is the key index of a record.
func (m *Model) place(record uint64) uint64 {
	if !m.hashed.Load() {
		return record
	}
	return m.order.at(record)
}

// live tells whether the key with index i is in the store by all that has been
// acknowledged, its time to live apart.
func (m *Model) live(i uint64) bool {
	w := &m.words[i]
	acknowledged := w.acknowledged.Load()
	return acknowledged != 0 && w.deleted.Load() != acknowledged
}

// nextLive is the first key from i on that is live, going up by step 1 or down
// by -1; past the last or, as MaxUint64, below the first if there is none.
func (m *Model) nextLive(i uint64, step int) uint64 {
	for i < uint64(len(m.words)) && !m.live(i) {
		block := i / blockKeys
		if m.blocks[block].Load() != 0 {
			i += uint64(step)
			continue
		}
		if step > 0 {
			i = (block + 1) * blockKeys
		} else {
			i = block*blockKeys - 1
		}
	}
	return i
}

// start is the version of the first record of key i's value at its last version.
func (m *Model) start(i uint64, last uint32) uint32 {
	if m.starts == nil {
		return last
	}
	return m.starts[i].Load()
}

// prepareMerges and prepareExpiry make room for what merges and times to live
// need. No client may be at work.
func (m *Model) prepareMerges() {
	if m.starts != nil {
		return
	}
	m.starts = make([]atomic.Uint32, len(m.words))
	for i := range m.words {
		m.starts[i].Store(m.words[i].acknowledged.Load())
	}
}

func (m *Model) prepareExpiry() {
	if m.expires == nil {
		m.expires = make([]atomic.Uint64, len(m.words))
	}
}

// now is the time that expires counts in: milliseconds, from 1.
func (m *Model) now() uint32 { return uint32(time.Since(m.epoch).Milliseconds()) + 1 }

// write is one write of a key, from claim to acknowledge.
type write struct {
	key     uint64 // index
	version uint32
	kind    writeKind
	wasLive bool
	// What claim has changed, for release.
	deleted uint32
	expires uint64
}

type writeKind uint8

const (
	put writeKind = iota
	remove
	merge
)

// claim begins a write of key i, unless another client is at one.
func (m *Model) claim(i uint64, kind writeKind) (w write, ok bool) {
	s := &m.words[i]
	last := s.acknowledged.Load()
	if !s.issued.CompareAndSwap(last, last+1) {
		return write{}, false
	}
	// acknowledged cannot have moved: a write that began after it was loaded has
	// raised issued for good.
	w = write{key: i, version: last + 1, kind: kind, deleted: s.deleted.Load()}
	w.wasLive = last != 0 && w.deleted != last
	if kind == remove {
		s.deleted.Store(w.version)
	}
	if m.expires != nil {
		w.expires = m.expires[i].Swap(0)
	}
	return w, true
}

// release takes back a claim whose write was never begun.
func (m *Model) release(w write) {
	if m.expires != nil {
		m.expires[w.key].Store(w.expires)
	}
	s := &m.words[w.key]
	s.deleted.Store(w.deleted)
	s.issued.Store(w.version - 1)
}

// expireAfter notes, before a write with a time to live is carried out and again
// after it, that its time ends between the two plus ttl.
func (m *Model) expireAfter(w write, began, ended uint32, ttl time.Duration) {
	m.expires[w.key].Store(uint64(began+uint32(ttl.Milliseconds()))<<32 | uint64(ended+uint32(ttl.Milliseconds())))
}

// acknowledge ends the write that claim began.
func (m *Model) acknowledge(w write) {
	live := w.kind != remove
	if m.starts != nil && live && (w.kind == put || !w.wasLive) {
		m.starts[w.key].Store(w.version)
	}
	m.words[w.key].acknowledged.Store(w.version)
	switch {
	case live && !w.wasLive:
		m.blocks[w.key/blockKeys].Add(1)
	case !live && w.wasLive:
		m.blocks[w.key/blockKeys].Add(-1)
	}
}

// insert claims a record that was not there yet; ok is false if there is no room.
func (m *Model) insert() (w write, ok bool) {
	for {
		record := m.next.Add(1) - 1
		if record >= uint64(len(m.words)) {
			m.next.Add(^uint64(0))
			return write{}, false
		}
		// Somebody may have put beyond the last record: then it is not new.
		if w, ok = m.claim(m.place(record), put); ok {
			return w, true
		}
	}
}

// advance makes records visible up to the first that was not acknowledged.
func (m *Model) advance() {
	for {
		record := m.visible.Load()
		if record >= uint64(len(m.words)) || m.words[m.place(record)].acknowledged.Load() == 0 {
			return
		}
		m.visible.CompareAndSwap(record, record+1)
	}
}
