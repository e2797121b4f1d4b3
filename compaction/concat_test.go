package compaction

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
)

// cutSlice makes a concat of pieces of entries, which have one version a key.
// Some tables reach beyond their last key, and some hold nothing.
func cutSlice(rng *rand.Rand, entries []iterator.Entry, fail func() error) *concat {
	c := &concat{}
	parts := map[*manifest.TableMeta][]iterator.Entry{}
	for len(entries) > 0 {
		n := 1 + rng.IntN(4)
		part := entries[:min(n, len(entries))]
		entries = entries[len(part):]
		m := &manifest.TableMeta{Smallest: part[0].Key.User, Largest: part[len(part)-1].Key.User}
		if rng.IntN(3) == 0 {
			m.Largest, m.LargestExclusive = append([]byte(string(m.Largest)), '!'), true
		}
		if rng.IntN(6) == 0 && len(entries) > 0 {
			part = nil // only range tombstones
		}
		c.tables = append(c.tables, m)
		parts[m] = part
	}
	c.open = func(m *manifest.TableMeta) (iterator.Iterator, error) {
		if err := fail(); err != nil {
			return nil, err
		}
		return iterator.NewSlice(parts[m]), nil
	}
	return c
}

func TestConcatWalksLikeOneIterator(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 5))
		var all, left []iterator.Entry
		for i := range 1 + rng.IntN(30) {
			all = append(all, entry(fmt.Sprintf("k%03d", 2*i), base.SeqNum(i+1), base.KindSet, "v"))
		}
		c := cutSlice(rng, all, func() error { return nil })
		for _, m := range c.tables {
			it, _ := c.open(m)
			for ok := it.First(); ok; ok = it.Next() {
				left = append(left, iterator.Entry{Key: it.Key(), Value: it.Value()})
			}
		}
		model := iterator.NewSlice(left)
		model.First()
		c.First()
		for step := range 200 {
			key := fmt.Appendf(nil, "k%03d", rng.IntN(64))
			name, got, want := "", false, false
			switch rng.IntN(8) {
			case 0:
				name, got, want = "First", c.First(), model.First()
			case 1:
				name, got, want = "Last", c.Last(), model.Last()
			case 2:
				name, got, want = "SeekGE", c.SeekGE(key, base.SeekTrailer(base.SeqNumMax)), model.SeekGE(key, base.SeekTrailer(base.SeqNumMax))
			case 3:
				name, got, want = "SeekLT", c.SeekLT(key), model.SeekLT(key)
			case 4, 5:
				name, got, want = "Next", c.Next(), model.Next()
			default:
				name, got, want = "Prev", c.Prev(), model.Prev()
			}
			if got != want || c.Err() != nil || got && c.Key().Compare(model.Key()) != 0 {
				t.Fatalf("seed %d step %d: %s %s: %v, want %v; %v", seed, step, name, key, got, want, c.Err())
			}
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcatReportsATableThatDoesNotOpen(t *testing.T) {
	for at := range 5 {
		n := 0
		c := cutSlice(rand.New(rand.NewPCG(1, 1)), numbered(20), func() error {
			if n++; n == at+1 {
				return vfs.ErrInjected
			}
			return nil
		})
		for ok := c.First(); ok; ok = c.Next() {
		}
		if !errors.Is(c.Err(), vfs.ErrInjected) || c.Next() || c.Prev() {
			t.Fatalf("table %d: %v", at, c.Err())
		}
		if !c.First() || c.Err() != nil {
			t.Fatalf("table %d: does not recover: %v", at, c.Err())
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestConcatReportsATableThatFailsInside(t *testing.T) {
	all := cutSlice(rand.New(rand.NewPCG(2, 2)), numbered(20), func() error { return nil })
	total := 0
	for ok := all.First(); ok; ok = all.Next() {
		total++
	}
	for left := range total {
		c := cutSlice(rand.New(rand.NewPCG(2, 2)), numbered(20), func() error { return nil })
		open := c.open
		seen := 0
		c.open = func(m *manifest.TableMeta) (iterator.Iterator, error) {
			it, err := open(m)
			return &brokenIter{Iterator: it, left: left - seen}, err
		}
		for ok := c.First(); ok; ok = c.Next() {
			seen++
		}
		if !errors.Is(c.Err(), vfs.ErrInjected) || seen != left || c.Next() {
			t.Fatalf("%d entries before the failure, %d seen: %v", left, seen, c.Err())
		}
	}
}

// failingClose fails to close.
type failingClose struct{ iterator.Iterator }

func (f failingClose) Close() error { return vfs.ErrInjected }

func TestConcatReportsATableThatDoesNotClose(t *testing.T) {
	c := cutSlice(rand.New(rand.NewPCG(1, 1)), numbered(20), func() error { return nil })
	open := c.open
	c.open = func(m *manifest.TableMeta) (iterator.Iterator, error) {
		it, err := open(m)
		return failingClose{it}, err
	}
	n := 0
	for ok := c.First(); ok; ok = c.Next() {
		n++
	}
	if !errors.Is(c.Err(), vfs.ErrInjected) || n >= 20 {
		t.Fatalf("%v after %d entries", c.Err(), n)
	}
	if err := c.Close(); !errors.Is(err, vfs.ErrInjected) {
		t.Fatal(err)
	}
}
