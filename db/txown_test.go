package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// cell is what a key holds in the model: a value, and operands over it.
type cell struct {
	set      bool
	value    string
	expiry   int64 // 0: never
	operands string
}

// at is the value of the cell at a time.
func (c cell) at(now int64) (value string, ok bool) {
	if c.set && (c.expiry == 0 || c.expiry > now) {
		return c.value + c.operands, true
	}
	return c.operands, c.operands != ""
}

// shelf is one keyspace of the model.
type shelf map[string]cell

// live are the keys that have a value at a time, in order.
func (s shelf) live(now int64) []string {
	var keys []string
	for k, c := range s {
		if _, ok := c.at(now); ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return keys
}

// ownModel compares a transaction with a map.
type ownModel struct {
	t     *testing.T
	rng   *rand.Rand
	clock *atomic.Int64
	store *DB
	tx    *Tx
	ks    [2]*Keyspace
	now   [2]shelf // as the transaction sees it
	large bool     // values of some KiB among them
}

func (m *ownModel) key() string { return fmt.Sprintf("k%02d", m.rng.IntN(30)) }

func (m *ownModel) value() string {
	n := m.rng.IntN(20)
	if m.large && m.rng.IntN(4) == 0 {
		n = 400 + m.rng.IntN(4000)
	}
	return string(bytes.Repeat([]byte{byte('a' + m.rng.IntN(26))}, n))
}

func (m *ownModel) span() (string, string) {
	a, b := m.key(), m.key()
	return min(a, b), max(a, b)
}

// write makes a random write, to w and to the shelf. Values that expire are
// not merged with in the store itself: what becomes of those is not the
// transaction's concern.
func (m *ownModel) write(w Writer, s shelf, own bool) {
	k, v := m.key(), m.value()
	ttl := k < "k10"
	switch n := m.rng.IntN(12); {
	case n < 4:
		must(m.t, w.Put(bs(k), bs(v)))
		s[k] = cell{set: true, value: v}
	case n < 6 && (ttl || own):
		life := time.Duration(1 + m.rng.IntN(100))
		must(m.t, w.PutTTL(bs(k), bs(v), life))
		s[k] = cell{set: true, value: v, expiry: m.clock.Load() + int64(life)}
	case n < 8:
		must(m.t, w.Delete(bs(k)))
		delete(s, k)
	case n < 11 && (!ttl || own):
		must(m.t, w.Merge(bs(k), bs("+"+v)))
		c := s[k]
		c.operands += "+" + v
		s[k] = c
	case n == 11:
		lo, hi := m.span()
		must(m.t, w.DeleteRange(Between(bs(lo), bs(hi))))
		maps.DeleteFunc(s, func(k string, _ cell) bool { return lo <= k && k < hi })
	}
}

// read compares point reads of a key.
func (m *ownModel) read(i int) {
	k := m.key()
	want, ok := m.now[i][k].at(m.clock.Load())
	in := m.tx.In(m.ks[i])
	get := in.Get
	if m.rng.IntN(3) == 0 {
		get = in.GetForUpdate
	}
	got, err := get(bs(k))
	if ok && (err != nil || string(got) != want || got == nil) || !ok && !errors.Is(err, ErrNotFound) {
		m.t.Fatalf("Get %s: %.40q, %v; want %.40q, %v", k, got, err, want, ok)
	}
	if has, err := in.Has(bs(k)); err != nil || has != ok {
		m.t.Fatalf("Has %s: %v, %v; want %v", k, has, err, ok)
	}
	many, err := in.MultiGet(bs(k), bs("none"), bs(k))
	must(m.t, err)
	if (many[0] != nil) != ok || string(many[2]) != want || many[1] != nil {
		m.t.Fatalf("MultiGet %s: %.40q; want %.40q", k, many, want)
	}
}

// walk compares a cursor over a random range with the keys as they are now,
// while more is written.
func (m *ownModel) walk(i int) {
	r, lo, hi := All(), "", "z"
	if m.rng.IntN(2) == 0 {
		lo, hi = m.span()
		r = Between(bs(lo), bs(hi))
	}
	seen, now := maps.Clone(m.now[i]), m.clock.Load()
	keys := slices.DeleteFunc(seen.live(now), func(k string) bool { return k < lo || k >= hi })
	c, err := m.tx.In(m.ks[i]).NewCursor(r)
	must(m.t, err)
	defer c.Close()
	at := -1
	for range m.rng.IntN(80) {
		var ok bool
		var move string
		switch n := m.rng.IntN(22); {
		case n == 0:
			move, ok, at = "First", c.First(), 0
		case n == 1:
			move, ok, at = "Last", c.Last(), len(keys)-1
		case n < 5:
			k := m.key()
			move, ok = "SeekGE "+k, c.SeekGE(bs(k))
			at, _ = slices.BinarySearch(keys, k)
		case n < 8:
			k := m.key()
			move, ok = "SeekLT "+k, c.SeekLT(bs(k))
			at, _ = slices.BinarySearch(keys, k)
			at--
		case n < 14:
			move, ok, at = "Next", c.Next(), min(at+1, len(keys))
		case n < 19:
			if at == -1 && !c.Valid() && c.at == atNowhere {
				at = len(keys)
			}
			move, ok, at = "Prev", c.Prev(), max(at-1, -1)
		default:
			m.write(m.tx.In(m.ks[i]), m.now[i], true)
			m.write(m.ks[i], shelf{}, false) // by others
			m.read(i)                        // brings the index up to date
			continue
		}
		if valid := at >= 0 && at < len(keys); ok != valid || c.Err() != nil {
			m.t.Fatalf("%s in [%s, %s): %v, %v; want %d of %d", move, lo, hi, ok, c.Err(), at, len(keys))
		}
		if !ok {
			continue
		}
		want, _ := seen[keys[at]].at(now)
		got, err := c.Value()
		if err != nil || string(c.Key()) != keys[at] || string(got) != want || c.Item().ValueSize() != len(want) {
			m.t.Fatalf("%s in [%s, %s): %s = %.40q (%d bytes), %v; want %s = %.40q", move, lo, hi,
				c.Key(), got, c.Item().ValueSize(), err, keys[at], want)
		}
	}
}

func (m *ownModel) run(steps int) {
	for range steps {
		i := m.rng.IntN(2)
		switch n := m.rng.IntN(22); {
		case n < 10:
			m.write(m.tx.In(m.ks[i]), m.now[i], true)
		case n < 15:
			m.read(i)
		case n < 18:
			m.walk(i)
		case n == 18:
			m.clock.Add(int64(m.rng.IntN(40)))
		default: // by others: not to be seen
			m.write(m.ks[i], shelf{}, false)
		}
	}
}

// TestTransactionsSeeTheirOwnWritesAsAMapWould: random writes, reads and
// cursors of transactions over a store with contents, in two keyspaces.
func TestTransactionsSeeTheirOwnWritesAsAMapWould(t *testing.T) {
	seed := rand.Uint64()
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for round := range rounds {
		t.Run(fmt.Sprintf("seed-%d-%d", seed, round), func(t *testing.T) {
			m := &ownModel{t: t, rng: rand.New(rand.NewPCG(seed, uint64(round))), clock: new(atomic.Int64), large: round%2 == 0}
			m.clock.Store(time.Hour.Nanoseconds())
			opts := txOptions()
			opts.Clock = func() time.Time { return time.Unix(0, m.clock.Load()) }
			m.store = openMem(t, vfs.NewMem(), opts)
			defer closeDB(t, m.store)
			m.ks = [2]*Keyspace{m.store.Default(), mustKeyspace(t, m.store, "ks")}
			m.now = [2]shelf{{}, {}}
			for range m.rng.IntN(200) {
				i := m.rng.IntN(2)
				m.write(m.ks[i], m.now[i], false)
				if m.rng.IntN(60) == 0 {
					must(t, m.store.Flush(context.Background()))
				}
			}
			var err error
			m.tx, err = m.store.Begin(TxOptions{Isolation: Isolation(m.rng.IntN(2))})
			must(t, err)
			defer m.tx.Discard()
			m.run(10 + m.rng.IntN(150))
		})
	}
}

// TestACommittedTransactionLeavesWhatItSaw: nothing that it read of itself was
// different from what others read of it.
func TestACommittedTransactionLeavesWhatItSaw(t *testing.T) {
	seed := rand.Uint64()
	m := &ownModel{t: t, rng: rand.New(rand.NewPCG(seed, 0)), clock: new(atomic.Int64), large: true}
	t.Logf("seed %d", seed)
	m.clock.Store(time.Hour.Nanoseconds())
	opts := txOptions()
	opts.Clock = func() time.Time { return time.Unix(0, m.clock.Load()) }
	m.store = openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, m.store)
	m.ks = [2]*Keyspace{m.store.Default(), mustKeyspace(t, m.store, "ks")}
	m.now = [2]shelf{{}, {}}
	for range 40 {
		must(t, m.store.Update(context.Background(), func(tx *Tx) error {
			m.tx = tx
			for range m.rng.IntN(40) {
				i := m.rng.IntN(2)
				m.write(tx.In(m.ks[i]), m.now[i], true)
				m.read(i)
			}
			return nil
		}))
		for i, ks := range m.ks {
			for k := range m.now[i] {
				want, ok := m.now[i][k].at(m.clock.Load())
				got, err := ks.Get(bs(k))
				if ok && (err != nil || string(got) != want) || !ok && !errors.Is(err, ErrNotFound) {
					t.Fatalf("%s: %.40q, %v; want %.40q, %v", k, got, err, want, ok)
				}
			}
		}
	}
}
