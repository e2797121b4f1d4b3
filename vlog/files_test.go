package vlog

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

func locOf(num base.FileNum) Location { return Location{Physical: num, ID: testID + uint64(num)} }

func TestTheLeastRecentlyUsedFileIsClosed(t *testing.T) {
	m := newMem(t)
	es := map[base.FileNum]entry{}
	for num := base.FileNum(1); num <= 4; num++ {
		es[num] = writeFile(t, m, num, testID+uint64(num), 10)[0]
	}
	f := vfs.NewFaulty(m, nil)
	var opened []string
	f.SetDecide(func(op vfs.Op) *vfs.Fault {
		if op.Kind == vfs.OpOpen {
			opened = append(opened, strings.TrimLeft(op.Path[4:], "0")[:1])
		}
		return nil
	})
	c := NewFileCache(f, "/db", 3, nil)
	for _, num := range []base.FileNum{1, 2, 3, 1, 4, 1, 3, 2, 1, 4} {
		wantEntry(t, c, locOf(num), es[num])
		if m.OpenHandles() > 3 {
			t.Fatalf("%d files open", m.OpenHandles())
		}
	}
	if got := strings.Join(opened, ""); got != "123424" {
		t.Fatalf("opened %s", got)
	}
	if err := c.Close(); err != nil || m.OpenHandles() != 0 {
		t.Fatalf("%v, %d handles open", err, m.OpenHandles())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(nil, locOf(1), es[1].keyspace, es[1].key, es[1].seq, es[1].ptr); !errors.Is(err, base.ErrClosed) {
		t.Fatalf("got %v", err)
	}
}

func TestAFileEvictedInUseIsClosedByItsLastReader(t *testing.T) {
	m := newMem(t)
	e := writeFile(t, m, 1, testID+1, 10)[0]
	c := NewFileCache(m, "/db", 3, nil)
	h, err := c.acquire(locOf(1))
	if err != nil {
		t.Fatal(err)
	}
	c.Evict(1)
	c.Evict(1)
	c.Evict(99)
	if m.OpenHandles() != 1 {
		t.Fatal("closed in use")
	}
	if err := m.Remove("/db/" + fileName(1)); err != nil {
		t.Fatal(err)
	}
	if got, err := h.read(nil, wanted{key: e.key, seq: e.seq, ptr: e.ptr, off: int64(e.ptr.Offset)}); err != nil || !slices.Equal(got, e.value) {
		t.Fatal(err)
	}
	c.release(h)
	if m.OpenHandles() != 0 {
		t.Fatal("not closed after use")
	}
	var missing *base.MissingFileError
	if _, err := c.Read(nil, locOf(1), e.keyspace, e.key, e.seq, e.ptr); !errors.As(err, &missing) || missing.File != fileName(1) {
		t.Fatalf("got %v", err)
	}
	if _, err := ScanFile(m, "/db", 1, 0, 0, 0, nil); !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	if err := Salvage(m, "/db", 1, 1, nil, nil); !errors.As(err, &missing) {
		t.Fatalf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestConcurrentReadersShareOneOpen(t *testing.T) {
	m := newMem(t)
	e := writeFile(t, m, 1, testID+1, 10)[0]
	f := vfs.NewFaulty(m, nil)
	var opens atomic.Int32
	gate := make(chan struct{})
	f.SetDecide(func(op vfs.Op) *vfs.Fault {
		if op.Kind == vfs.OpOpen {
			opens.Add(1)
			<-gate
		}
		return nil
	})
	c := NewFileCache(f, "/db", 3, nil)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got, err := c.Read(nil, locOf(1), e.keyspace, e.key, e.seq, e.ptr)
			if err != nil || !slices.Equal(got, e.value) {
				t.Error(err)
			}
		})
	}
	close(gate)
	wg.Wait()
	if opens.Load() != 1 {
		t.Errorf("%d opens", opens.Load())
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestReadersEvictionsAndClosingDoNotDisturbOneAnother(t *testing.T) {
	m := newMem(t)
	es := map[base.FileNum][]entry{}
	for num := base.FileNum(1); num <= 4; num++ {
		es[num] = writeFile(t, m, num, testID+uint64(num), 10, 2000, 40_000)
		rewrite(t, m, num+4, testID+uint64(num)+4, keepAll, num)
	}
	blocks := cache.New(1 << 20)
	defer blocks.Close()
	c := NewFileCache(m, "/db", 2, blocks)
	var wg sync.WaitGroup
	for g := range 6 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 3))
			for range 600 {
				num := base.FileNum(1 + rng.IntN(4))
				e := es[num][rng.IntN(3)]
				loc := locOf(num)
				if rng.IntN(2) == 0 {
					loc = locOf(num + 4)
					loc.Rewritten = true
				}
				if rng.IntN(5) == 0 {
					c.Evict(loc.Physical)
				}
				got, err := c.Read(nil, loc, e.keyspace, e.key, e.seq, e.ptr)
				if err != nil || !slices.Equal(got, e.value) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if m.OpenHandles() != 0 || c.PinnedBytes() != 0 {
		t.Fatalf("%d handles, %d bytes pinned", m.OpenHandles(), c.PinnedBytes())
	}
}

func TestReadManyGivesWhatReadGives(t *testing.T) {
	testkit.Sequential(t)
	m := newMem(t)
	sizes := []int{10, 1000, 20_000, 40_000, 5, 200_000, 100, 2 << 20, 3, 0, 900_000, 300_000}
	es := writeFile(t, m, 1, testID+1, sizes...)
	other := writeFile(t, m, 2, testID+2, sizes...)
	rewrite(t, m, 3, testID+3, keepAll, 2)
	blocks := cache.New(1 << 20)
	defer blocks.Close()
	c := NewFileCache(m, "/db", 2, blocks)
	rng := rand.New(rand.NewPCG(4, 4))
	for range 200 {
		var reqs []ReadRequest
		var want [][]byte
		for range rng.IntN(20) {
			i := rng.IntN(len(es))
			r := ReadRequest{Loc: locOf(1), Key: es[i].key, Keyspace: es[i].keyspace, Seq: es[i].seq, Ptr: es[i].ptr, Dst: []byte("x")}
			switch rng.IntN(8) {
			case 0, 1, 2:
				r.Ptr = other[i].ptr
				r.Loc = Location{Physical: 3, ID: testID + 3, Rewritten: true}
			case 3:
				r.Seq++ // not found
			case 4:
				r.Loc.Physical = 77
			case 5:
				r.Ptr.Offset += 3
			}
			reqs = append(reqs, r)
			v, err := c.Read([]byte("x"), r.Loc, r.Keyspace, r.Key, r.Seq, r.Ptr)
			if err != nil {
				v = nil
			}
			want = append(want, v)
		}
		first := c.ReadMany(reqs)
		for i, r := range reqs {
			if (want[i] == nil) != (r.Err != nil) {
				t.Fatalf("request %d: %v", i, r.Err)
			}
			if r.Err != nil {
				if first == nil || string(r.Dst) != "x" {
					t.Fatalf("request %d: %v, first error %v, dst %q", i, r.Err, first, r.Dst)
				}
				continue
			}
			if !slices.Equal(r.Dst, want[i]) {
				t.Fatalf("request %d: another value", i)
			}
		}
	}
	if err := c.Close(); err != nil || m.OpenHandles() != 0 {
		t.Fatal(err)
	}
}

func TestReadManyReadsNeighboursInOnePiece(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 1, testID+1, make([]int, 500)...)
	reads := 0
	c := NewFileCache(vfs.NewFaulty(m, func(op vfs.Op) *vfs.Fault {
		if op.Kind == vfs.OpRead {
			reads++
		}
		return nil
	}), "/db", 2, nil)
	reqs := make([]ReadRequest, 0, 250)
	for i := len(es) - 1; i >= 0; i -= 2 {
		reqs = append(reqs, ReadRequest{Loc: locOf(1), Key: es[i].key, Keyspace: es[i].keyspace, Seq: es[i].seq, Ptr: es[i].ptr})
	}
	if err := c.ReadMany(reqs); err != nil {
		t.Fatal(err)
	}
	if reads != 2 { // one of them for the file's header
		t.Fatalf("%d reads", reads)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
