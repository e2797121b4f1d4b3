package sstable

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/vfs"
)

const tableDir = "db"

// tables writes n small tables, numbered from 1, and counts opens.
func tables(t *testing.T, n int) (mem *vfs.Mem, fs *vfs.Faulty, opens *atomic.Int64, entries []iterator.Entry) {
	t.Helper()
	mem = vfs.NewMem()
	if err := mem.MkdirAll(tableDir); err != nil {
		t.Fatal(err)
	}
	entries = numbered(20, 10)
	for i := 1; i <= n; i++ {
		name := filepath.Join(tableDir, base.FileName(base.FileTable, uint64(i)))
		writeTable(t, mem, name, WriterOptions{ID: uint64(i), FilterBitsPerKey: 10}, entries, nil)
	}
	opens = new(atomic.Int64)
	fs = vfs.NewFaulty(mem, func(op vfs.Op) *vfs.Fault {
		if op.Kind == vfs.OpOpen {
			opens.Add(1)
		}
		return nil
	})
	return mem, fs, opens, entries
}

func mustGet(t *testing.T, c *TableCache, num base.FileNum) *Handle {
	t.Helper()
	h, err := c.Get(num, uint64(num))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestTableCacheKeepsTheTablesInUseOpen(t *testing.T) {
	mem, fs, opens, _ := tables(t, 10)
	c := NewTableCache(fs, tableDir, 4, nil, nil)
	for range 20 {
		mustGet(t, c, 1).Release() // used all the time
		for i := range base.FileNum(2) {
			mustGet(t, c, 2+i).Release()
		}
	}
	if opens.Load() != 3 {
		t.Fatalf("%d opens of 3 tables", opens.Load())
	}
	for i := base.FileNum(4); i <= 10; i++ {
		mustGet(t, c, 1).Release()
		mustGet(t, c, i).Release()
	}
	if n := mem.OpenHandles(); n != 4 || c.OpenTables() != 4 {
		t.Fatalf("%d files open, %d tables, of at most 4", n, c.OpenTables())
	}
	if before := opens.Load(); before > 12 {
		t.Fatalf("%d opens", before)
	}
	if c.PinnedBytes() <= 0 {
		t.Fatal("nothing pinned")
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n := mem.OpenHandles(); n != 0 || c.PinnedBytes() != 0 {
		t.Fatalf("%d files open, %d bytes pinned after Close", n, c.PinnedBytes())
	}
	if _, err := c.Get(1, 1); !errors.Is(err, base.ErrClosed) {
		t.Fatal(err)
	}
}

func TestAnEvictedTableInUseClosesWithItsLastRelease(t *testing.T) {
	mem, fs, opens, entries := tables(t, 2)
	c := NewTableCache(fs, tableDir, 4, nil, nil)
	h := mustGet(t, c, 1)
	it := h.NewIter(IterOptions{})
	c.Evict(1)
	c.Evict(1)
	c.Evict(7)
	h.Release()
	if mem.OpenHandles() != 1 {
		t.Fatal("closed under an iterator")
	}
	if err := checkScansOf(it, entries); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(it.Close(), it.Close()); err != nil {
		t.Fatal(err)
	}
	if n := mem.OpenHandles(); n != 0 {
		t.Fatalf("%d open", n)
	}
	mustGet(t, c, 1).Release()
	if opens.Load() != 2 {
		t.Fatalf("%d opens", opens.Load())
	}
	last := mustGet(t, c, 2)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	last.Release()
	if n := mem.OpenHandles(); n != 0 {
		t.Fatalf("%d open", n)
	}
}

func TestConcurrentGetsOpenATableOnce(t *testing.T) {
	mem, fs, _, _ := tables(t, 1)
	var opens atomic.Int64
	gate := make(chan struct{})
	fs.SetDecide(func(op vfs.Op) *vfs.Fault {
		if op.Kind == vfs.OpOpen {
			opens.Add(1)
			<-gate
		}
		return nil
	})
	c := NewTableCache(fs, tableDir, 4, nil, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			h, err := c.Get(1, 1)
			if err != nil {
				t.Error(err)
				return
			}
			h.Release()
		})
	}
	// All but the opener wait, or come later and find the table open.
	for {
		c.mu.Lock()
		o := c.opening[1]
		if o != nil && o.waiters == 7 {
			o.evicted = true // as Evict would: nobody keeps it
			c.mu.Unlock()
			break
		}
		c.mu.Unlock()
	}
	close(gate)
	wg.Wait()
	if opens.Load() != 1 {
		t.Fatalf("%d opens", opens.Load())
	}
	if n := mem.OpenHandles(); n != 0 || c.PinnedBytes() != 0 {
		t.Fatalf("%d files open, %d bytes pinned", n, c.PinnedBytes())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestAFailedOpenIsNotRemembered(t *testing.T) {
	mem, fs, _, _ := tables(t, 1)
	c := NewTableCache(fs, tableDir, 4, nil, nil)
	for _, kind := range []vfs.OpKind{vfs.OpOpen, vfs.OpSize, vfs.OpRead} {
		fs.SetDecide(vfs.FailNth(1, vfs.OfKind(kind), vfs.ErrInjected, false))
		if _, err := c.Get(1, 1); !errors.Is(err, vfs.ErrInjected) {
			t.Fatalf("%v: %v", kind, err)
		}
		if n := mem.OpenHandles(); n != 0 {
			t.Fatalf("%v: %d open", kind, n)
		}
		mustGet(t, c, 1).Release()
		c.Evict(1)
	}
	if _, err := c.Get(9, 9); err == nil {
		t.Fatal("a missing table opens")
	} else if mf, ok := errors.AsType[*base.MissingFileError](err); !ok || mf.File != "000009.sst" {
		t.Fatal(err)
	}
	if _, err := c.Get(1, 2); !isCorruption(err) {
		t.Fatalf("wrong ID at open: %v", err)
	}
	mustGet(t, c, 1).Release()
	if _, err := c.Get(1, 2); !isCorruption(err) {
		t.Fatalf("wrong ID when open: %v", err)
	}
	fs.SetDecide(vfs.FailNth(1, vfs.OfKind(vfs.OpClose), vfs.ErrInjected, false))
	if err := c.Close(); !errors.Is(err, vfs.ErrInjected) {
		t.Fatalf("an error in closing is lost: %v", err)
	}
}

func TestTableCacheUnderConcurrentUse(t *testing.T) {
	mem, fs, _, entries := tables(t, 12)
	blocks := newCache(t, 1<<20)
	c := NewTableCache(fs, tableDir, 3, blocks, nil)
	var wg sync.WaitGroup
	for g := range uint64(4) {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(g, 1))
			for range 300 {
				num := base.FileNum(1 + rng.IntN(12))
				h, err := c.Get(num, uint64(num))
				if err != nil {
					t.Error(err)
					return
				}
				if rng.IntN(4) == 0 {
					c.Evict(base.FileNum(1 + rng.IntN(12)))
				}
				it := h.NewIter(IterOptions{Fill: true})
				h.Release()
				if err := checkScansOf(it, entries); err != nil {
					t.Error(fmt.Errorf("table %d: %w", num, err))
				}
				if err := it.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if n := mem.OpenHandles(); n != 0 || c.PinnedBytes() != 0 {
		t.Fatalf("%d files open, %d bytes pinned", n, c.PinnedBytes())
	}
}

func TestAHitDoesNotAllocate(t *testing.T) {
	_, fs, _, _ := tables(t, 1)
	c := NewTableCache(fs, tableDir, 4, nil, nil)
	mustGet(t, c, 1).Release()
	if n := testing.AllocsPerRun(100, func() { mustGet(t, c, 1).Release() }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
