package memtable

import (
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
)

func TestEmptyAndSmallMemtablesAreCheap(t *testing.T) {
	if invariants.Enabled {
		t.Skip("pools lose things on purpose in race builds")
	}
	ops := benchOps(benchKeys[1].key, 10)
	for _, c := range []struct{ ops, allocs int }{{0, 1}, {1, 3}, {10, 3}} {
		if got := testing.AllocsPerRun(200, func() {
			m := New(Options{SizeBytes: 64 << 20})
			for i, op := range ops[:c.ops] {
				if _, _, err := m.Apply(base.SeqNum(i+1), op); err != nil {
					t.Fatal(err)
				}
			}
			if m.Entries() != c.ops {
				t.Fatalf("%d entries", m.Entries())
			}
			m.Release()
		}); int(got) > c.allocs {
			t.Errorf("%v allocations with %d operations", got, c.ops)
		}
	}
	if n := unsafe.Sizeof(Memtable{}); n > 256 {
		t.Errorf("an empty memtable takes %d bytes", n)
	}
}

// Memtables of all sizes follow each other on the same pooled memory.
func TestAMemtableSeesNothingOfTheOneBefore(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	for i := range 150 {
		m, b := New(Options{SizeBytes: int64(rng.IntN(2)) << 30, SkipHint: []byte("user/")[:rng.IntN(6)]}), newBuilder()
		fill(t, rng, m, b, keyStyles[slices.Sorted(maps.Keys(keyStyles))[i%len(keyStyles)]], 1<<rng.IntN(11))
		checkCounters(t, m, b)
		walk(t, m.NewIter(), b.sorted())
		m.Release()
	}
}

func TestUseAfterReleaseIsNoEmptyMemtable(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	b.add(base.KindSet, []byte("k"), nil)
	b.commit(t, m, 1)
	m.Release()
	m.Release() // does nothing
	defer func() {
		if recover() == nil {
			t.Error("found no key, and no fault either")
		}
	}()
	m.Get([]byte("k"), 1)
}

// A cursor that was made before the first entry finds it when it is positioned.
func TestCursorOfAnEmptyMemtableSeesWhatComes(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	it := m.NewIter()
	if it.SeekGE([]byte("a"), 0) {
		t.Fatal("found an entry")
	}
	b.add(base.KindSet, []byte("k"), nil)
	b.commit(t, m, 1)
	if !it.SeekGE([]byte("a"), 0) || !it.First() || !it.SeekLT([]byte("z")) {
		t.Fatal("found no entry")
	}
}

// A large memtable is built from the slabs and nodes of the one before.
func TestMemoryOfAReleasedMemtableIsUsedAgain(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for range 3 {
		m, b := New(Options{SizeBytes: 64 << 20}), newBuilder()
		fill(t, rng, m, b, keyStyles["common prefix"], 5000)
		checkCounters(t, m, b)
		walk(t, m.NewIter(), b.sorted())
		m.Release()
	}
}
