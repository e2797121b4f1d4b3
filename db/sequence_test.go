package db

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

func openSequence(t *testing.T, store *DB, lease uint64) *Sequence {
	t.Helper()
	s, err := store.Sequence(bs("ids"), lease)
	must(t, err)
	return s
}

// nextIs checks the next numbers.
func nextIs(t *testing.T, s *Sequence, want ...uint64) {
	t.Helper()
	for _, w := range want {
		if n, err := s.Next(); n != w || err != nil {
			t.Errorf("%d, %v, want %d", n, err, w)
		}
	}
}

func TestSequencesLeaseAndGiveBack(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	a, b := openSequence(t, store, 3), openSequence(t, store, 10)
	nextIs(t, a, 1, 2)
	nextIs(t, b, 4, 5)
	nextIs(t, a, 3, 14)
	must(t, b.Close()) // below the lease of 14 to 16: 6 to 13 are lost
	c := openSequence(t, store, 2)
	nextIs(t, c, 17)
	must(t, c.Close()) // on top: 18 comes back
	must(t, a.Close()) // 15 and 16 are lost
	for range 2 {
		if _, err := a.Next(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
		must(t, a.Close())
	}
	c, d := openSequence(t, store, 3), openSequence(t, store, 0)
	nextIs(t, c, 18)
	nextIs(t, d, 21)
	must(t, d.Close(), c.Close()) // 22 and above come back, 19 and 20 are lost
	nextIs(t, openSequence(t, store, 3), 22)
	closeDB(t, store)
	store = openMem(t, fs, smallOptions())
	last := openSequence(t, store, 1)
	nextIs(t, last, 25, 26, 27)
	must(t, last.Close())
	must(t, openSequence(t, store, 1).Close())
	closeDB(t, store)
	if _, err := last.Next(); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestSequencesOfAClosedStoreGiveOutNothing(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	s := openSequence(t, store, 10)
	nextIs(t, s, 1)
	closeDB(t, store)
	if n, err := s.Next(); n != 0 || !errors.Is(err, ErrClosed) {
		t.Error(n, err)
	}
	must(t, s.Close(), s.Close())
}

// In a keyspace that is dropped there is no sequence any more, leased numbers or
// not; one that is made under its name afterwards is another.
func TestASequenceEndsWithItsKeyspace(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	open := func() *Sequence {
		s, err := mustKeyspace(t, store, "ks").Sequence(bs("ids"), 10)
		must(t, err)
		return s
	}
	leased, fresh := open(), open()
	nextIs(t, leased, 1, 2)
	must(t, store.DropKeyspace("ks"))
	again := open()
	nextIs(t, again, 1)
	for _, s := range []*Sequence{leased, fresh} {
		if n, err := s.Next(); n != 0 || !errors.Is(err, ErrKeyspaceDropped) {
			t.Error(n, err)
		}
		must(t, s.Close())
		if _, err := s.Next(); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	nextIs(t, again, 2)
	must(t, again.Close())
	nextIs(t, open(), 3)
	if _, err := leased.ks.Sequence(bs("ids"), 1); !errors.Is(err, ErrKeyspaceDropped) {
		t.Error(err)
	}
}

func TestSequencesEnd(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	must(t, store.Put(bs("ids"), encodeSequence(math.MaxUint64-5)))
	a, b := openSequence(t, store, 2), openSequence(t, store, math.MaxUint64)
	nextIs(t, a, math.MaxUint64-5)
	nextIs(t, b, math.MaxUint64-3, math.MaxUint64-2, math.MaxUint64-1)
	nextIs(t, a, math.MaxUint64-4)
	for _, s := range []*Sequence{a, b, a} {
		if n, err := s.Next(); n != 0 || !errors.Is(err, ErrSequenceExhausted) {
			t.Error(n, err)
		}
	}
	must(t, a.Close(), b.Close())
}

func TestASequenceKeepsAwayFromOtherValues(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	s := openSequence(t, store, 2)
	nextIs(t, s, 1)
	newer := encodeSequence(7)
	newer[sequenceVersionOff]++
	others := [][]byte{nil, CounterBytes(5), encodeSequence(7)[:15], append(encodeSequence(7), 0), encodeSequence(0), newer}
	for _, other := range others {
		must(t, store.Put(bs("ids"), other))
		_, err := store.Sequence(bs("ids"), 1)
		s.next = s.end
		_, again := s.Next()
		for _, err := range []error{err, again} {
			var format *FormatError
			if bytes.Equal(other, newer) != errors.As(err, &format) || format == nil && !errors.Is(err, ErrNotSequence) {
				t.Errorf("% x: %v", other, err)
			}
		}
		if got, err := store.Get(bs("ids")); err != nil || !bytes.Equal(got, other) {
			t.Errorf("% x became % x, %v", other, got, err)
		}
	}
}

func TestASequenceDoesNotExpire(t *testing.T) {
	var clock jumpingClock
	clock.set(int64(time.Hour))
	opts := smallOptions()
	opts.Clock = clock.Now
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	ks := openSpace(t, store, "short", &KeyspaceOptions{DefaultTTL: time.Minute})
	for want := range uint64(3) {
		s, err := ks.Sequence(bs("ids"), 1)
		must(t, err)
		nextIs(t, s, want+1)
		must(t, s.Close())
		clock.set(clock.latest + int64(time.Hour))
	}
}

func TestSequencesAtOnceGiveOutEveryNumberOnce(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	const workers, each = 8, 300
	shared := openSequence(t, store, 7)
	given := make([][]uint64, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			s := shared
			for i := range each {
				if w%2 == 0 && i%20 == 0 { // one of its own, for a while
					if s != shared {
						must(t, s.Close())
					}
					s = openSequence(t, store, uint64(1+i%13))
				}
				n, err := s.Next()
				if err != nil {
					t.Error(err)
					return
				}
				runtime.Gosched()
				given[w] = append(given[w], n)
			}
		})
	}
	wg.Wait()
	var all []uint64
	for w, g := range given {
		if w%2 == 1 && !slices.IsSorted(g) {
			t.Error("the numbers of a Sequence do not ascend")
		}
		all = append(all, g...)
	}
	slices.Sort(all)
	if n := len(slices.Compact(all)); n != workers*each {
		t.Errorf("%d different numbers of %d", n, workers*each)
	}
}

// sequenceCrash is what the disk could have been after a power loss, or the
// death of the process, and the highest number that was given out before.
type sequenceCrash struct {
	image *vfs.Mem
	given uint64
}

// TestNoNumberComesAgainAfterACrash loses the power before every operation on
// the file system and after every number.
func TestNoNumberComesAgainAfterACrash(t *testing.T) {
	testkit.Sequential(t)
	for _, durability := range []Durability{NoSync, Sync} {
		fs, random := vfs.NewMem(), rand.New(rand.NewPCG(1, 2))
		opts := smallOptions()
		opts.Durability, opts.SyncInterval = durability, -1
		var mu sync.Mutex
		var crashes []sequenceCrash
		var given atomic.Uint64
		crash := func() {
			mu.Lock()
			defer mu.Unlock()
			g := given.Load()
			crashes = append(crashes,
				sequenceCrash{fs.CrashClone(nil), g}, sequenceCrash{fs.KillClone(), g},
				sequenceCrash{fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashChoice(random.IntN(3)) }), g})
		}
		fs.SetHook(func(op vfs.Op) error {
			if vfs.Mutating(op) {
				crash()
			}
			return nil
		})
		for round := range 2 {
			store := openMem(t, fs, opts)
			for lease := range uint64(4) {
				s := openSequence(t, store, lease+1)
				for range 3 {
					n, err := s.Next()
					must(t, err)
					if n <= given.Load() {
						t.Fatalf("%d after %d", n, given.Load())
					}
					given.Store(n)
					crash()
					must(t, store.Put(fmt.Append(nil, round, n), make([]byte, 300)))
				}
				if lease != 1 {
					must(t, s.Close())
				}
			}
			closeDB(t, store)
		}
		fs.SetHook(nil)
		for i, c := range crashes {
			store := openMem(t, c.image, opts)
			if n, err := openSequence(t, store, 2).Next(); err != nil || n <= c.given {
				t.Fatalf("%v, crash %d: %d, %v after %d", durability, i, n, err, c.given)
			}
			closeDB(t, store)
		}
		if len(crashes) < 200 {
			t.Errorf("%d crashes", len(crashes))
		}
	}
}

// A lease that could not be made durable gives out nothing.
func TestALeaseThatFailsGivesOutNothing(t *testing.T) {
	var failing atomic.Bool
	mem := vfs.NewMem()
	opts := smallOptions()
	opts.SyncInterval = -1
	opts.FS = vfs.NewFaulty(mem, func(op vfs.Op) *vfs.Fault {
		if failing.Load() && op.Kind == vfs.OpSync && strings.HasSuffix(op.Path, ".wal") {
			return &vfs.Fault{Err: errors.New("broken")}
		}
		return nil
	})
	store, err := Open("/db", &opts)
	must(t, err)
	s := openSequence(t, store, 2)
	nextIs(t, s, 1, 2)
	failing.Store(true)
	for range 3 {
		if n, err := s.Next(); n != 0 || !errors.Is(err, ErrReadOnly) {
			t.Error(n, err)
		}
	}
	must(t, s.Close())
	if err := store.Close(); err == nil {
		t.Error("the store is well")
	}
	again := openMem(t, mem.CrashClone(nil), smallOptions())
	nextIs(t, openSequence(t, again, 2), 3)
	closeDB(t, again)
}

// The example of docs/format/sequence.md.
func TestSequencesOfVersion1AreStillReadAndWritten(t *testing.T) {
	text, err := os.ReadFile("testdata/sequence-v1.hex")
	must(t, err)
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	must(t, err)
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	s := openSequence(t, store, 0)
	nextIs(t, s, 1)
	if got, err := store.Get(bs("ids")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("% x, %v, want % x", got, err, want)
	}
	must(t, store.Put(bs("ids"), want))
	nextIs(t, openSequence(t, store, 0), 1001)
}

func BenchmarkSequence(b *testing.B) {
	store, err := Open("/db", &Options{FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	s, err := store.Sequence(bs("ids"), 1000)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Next(); err != nil {
			b.Fatal(err)
		}
	}
	if err := store.Close(); err != nil {
		b.Fatal(err)
	}
}
