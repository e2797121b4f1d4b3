package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// conditionalWriter is what a store, a keyspace and a transaction have.
type conditionalWriter interface {
	Reader
	Writer
	PutIfAbsent(key, value []byte) (bool, error)
	CompareAndSwap(key, old, new []byte) (bool, error)
	GetAndDelete(key []byte) ([]byte, error)
	Add(key []byte, delta int64) (int64, error)
}

// everywhere runs steps in a store, a keyspace and a transaction, with what is
// between two of them in memory, in tables, or at the bottom.
func everywhere(t *testing.T, steps ...func(t *testing.T, w conditionalWriter)) {
	t.Helper()
	ctx := context.Background()
	for name, between := range map[string]func(*DB) error{
		"memory": func(*DB) error { return nil },
		"flush":  func(store *DB) error { return store.Flush(ctx) },
		"bottom": func(store *DB) error {
			return errors.Join(store.Compact(ctx, All()), openSpace(t, store, "ks", nil).Compact(ctx, All()), store.CollectGarbage(ctx, 0))
		},
	} {
		store := openMem(t, vfs.NewMem(), txOptions())
		ks := openSpace(t, store, "ks", &KeyspaceOptions{Merge: Counter()})
		tx := mustTx(t, store, TxOptions{Isolation: SnapshotIsolation})
		for on, w := range map[string]conditionalWriter{"store": store, "keyspace": ks, "transaction": tx.In(openSpace(t, store, "other", nil))} {
			t.Run(on+" "+name, func(t *testing.T) {
				for _, step := range steps {
					step(t, w)
					must(t, between(store))
				}
			})
		}
		must(t, tx.Commit())
		closeDB(t, store)
	}
}

func TestConditionalWritesDoWhatTheySay(t *testing.T) {
	long := bytes.Repeat([]byte("long"), 1000)
	said := func(t *testing.T, want bool) func(bool, error) {
		return func(got bool, err error) {
			t.Helper()
			if got != want || err != nil {
				t.Errorf("%v, %v, want %v", got, err, want)
			}
		}
	}
	everywhere(t,
		func(t *testing.T, w conditionalWriter) {
			said(t, true)(w.PutIfAbsent(bs("a"), nil))
			said(t, true)(w.CompareAndSwap(bs("b"), nil, long))
			said(t, true)(w.CompareAndSwap(bs("nothing"), nil, nil))
			said(t, false)(w.CompareAndSwap(bs("nothing"), []byte{}, long))
		},
		func(t *testing.T, w conditionalWriter) {
			said(t, false)(w.PutIfAbsent(bs("a"), long))
			said(t, false)(w.CompareAndSwap(bs("a"), nil, long)) // empty is not absent
			said(t, false)(w.CompareAndSwap(bs("b"), long[1:], long))
			said(t, true)(w.CompareAndSwap(bs("b"), long, []byte{}))
			said(t, true)(w.CompareAndSwap(bs("a"), []byte{}, long))
			holds(t, w, "a", string(long))
			if ok, err := w.Has(bs("b")); !ok || err != nil {
				t.Error(ok, err)
			}
		},
		func(t *testing.T, w conditionalWriter) {
			if got, err := w.GetAndDelete(bs("a")); err != nil || !bytes.Equal(got, long) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			said(t, true)(w.CompareAndSwap(bs("b"), []byte{}, nil))
		},
		func(t *testing.T, w conditionalWriter) {
			for _, key := range []string{"a", "b", "nothing"} {
				if got, err := w.GetAndDelete(bs(key)); !errors.Is(err, ErrNotFound) || got != nil {
					t.Errorf("%s: %q, %v", key, got, err)
				}
			}
			said(t, true)(w.PutIfAbsent(bs("a"), bs("again")))
			must(t, w.DeleteRange(All()))
			said(t, true)(w.PutIfAbsent(bs("a"), bs("and again")))
			holds(t, w, "a", "and again")
		},
	)
}

func TestAddCounts(t *testing.T) {
	sum := func(t *testing.T, want int64) func(int64, error) {
		return func(got int64, err error) {
			t.Helper()
			if got != want || err != nil {
				t.Errorf("%d, %v, want %d", got, err, want)
			}
		}
	}
	everywhere(t,
		func(t *testing.T, w conditionalWriter) { sum(t, -3)(w.Add(bs("n"), -3)) },
		func(t *testing.T, w conditionalWriter) { sum(t, math.MaxInt64-3)(w.Add(bs("n"), math.MaxInt64)) },
		func(t *testing.T, w conditionalWriter) { sum(t, math.MinInt64)(w.Add(bs("n"), 4)) }, // around
		func(t *testing.T, w conditionalWriter) {
			must(t, w.Put(bs("n"), bs("1234567")))
			if got, err := w.Add(bs("n"), 1); err == nil || got != 0 {
				t.Error(got, err)
			}
			holds(t, w, "n", "1234567")
		},
	)
}

func TestConditionalWritesSeeWhatIsMergedAndExpired(t *testing.T) {
	var clock jumpingClock
	clock.set(int64(time.Hour))
	opts := smallOptions()
	opts.Merge, opts.Clock = Counter(), clock.Now
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	must(t, store.Merge(bs("n"), CounterBytes(5)), store.Merge(bs("n"), CounterBytes(6)))
	if ok, err := store.PutIfAbsent(bs("n"), nil); ok || err != nil {
		t.Error(ok, err)
	}
	if n, err := store.Add(bs("n"), 1); n != 12 || err != nil {
		t.Error(n, err)
	}
	for want := range 2 {
		ok, err := store.PutIfAbsentTTL(bs("lock"), bs("mine"), time.Minute)
		if ok != (want == 0) || err != nil {
			t.Error(ok, err)
		}
	}
	clock.set(int64(time.Hour + time.Minute))
	if got, err := store.GetAndDelete(bs("lock")); !errors.Is(err, ErrNotFound) {
		t.Errorf("%q, %v", got, err)
	}
	if ok, err := store.CompareAndSwap(bs("lock"), bs("mine"), nil); ok || err != nil {
		t.Error(ok, err)
	}
	if ok, err := store.PutIfAbsentTTL(bs("lock"), bs("yours"), time.Minute); !ok || err != nil {
		t.Error(ok, err)
	}
	holds(t, store, "lock", "yours")
	for _, ttl := range []time.Duration{0, -1, math.MaxInt64} {
		if ok, err := store.PutIfAbsentTTL(bs("lock"), nil, ttl); ok || !errors.Is(err, ErrInvalidTTL) {
			t.Errorf("%v: %v, %v", ttl, ok, err)
		}
	}
}

func TestConditionalWritesOfWhatCannotBeWrittenAreRefused(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, txOptions())
	gone := openSpace(t, store, "gone", nil)
	must(t, store.DropKeyspace("gone"), store.Put(bs("k"), bs("v")))
	calls := func(ks *Keyspace, key, value []byte) map[string]error {
		errs := make(map[string]error)
		_, errs["PutIfAbsent"] = ks.PutIfAbsent(key, value)
		_, errs["CompareAndSwap"] = ks.CompareAndSwap(key, value, value)
		_, errs["GetAndDelete"] = ks.GetAndDelete(key)
		_, errs["Add"] = ks.Add(key, 1)
		_, errs["Sequence"] = ks.Sequence(key, 1)
		return errs
	}
	want := func(errs map[string]error, want error) {
		t.Helper()
		for name, err := range errs {
			if !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", name, err, want)
			}
		}
	}
	want(calls(gone, bs("k"), nil), ErrKeyspaceDropped)
	want(calls(store.Default(), make([]byte, MaxKeyBytes+1), nil), ErrKeyTooLarge)
	for range 2 {
		closeDB(t, store)
		want(calls(store.Default(), bs("k"), nil), ErrClosed)
	}
	opts := txOptions()
	opts.ReadOnly = true
	store = openMem(t, fs, opts)
	defer closeDB(t, store)
	want(calls(store.Default(), bs("k"), bs("v")), ErrReadOnly)
	tx := mustTx(t, store, TxOptions{ReadOnly: true})
	if _, err := tx.PutIfAbsent(bs("k"), nil); !errors.Is(err, ErrTxReadOnly) {
		t.Error(err)
	}
}

// Conditional writes, merges and transactions all count at the same keys, while
// tables come and go.
func TestNoWriteIsLostBesideConditionalOnes(t *testing.T) {
	for _, durability := range []Durability{NoSync, Sync} {
		opts := smallOptions()
		opts.Merge, opts.Durability = Counter(), durability
		fs := vfs.NewMem()
		fs.SetHook(func(op vfs.Op) error { // slow enough that commits queue up
			if strings.HasSuffix(op.Path, ".wal") {
				time.Sleep(20 * time.Microsecond)
			}
			return nil
		})
		store := openMem(t, fs, opts)
		each := 80
		if testing.Short() {
			each = 30
		}
		ways := []func(key []byte) error{
			func(key []byte) error { _, err := store.Add(key, 1); return err },
			func(key []byte) error { _, err := store.Add(key, 1); return err },
			func(key []byte) error { return store.Merge(key, CounterBytes(1)) },
			func(key []byte) error { return store.Merge(key, CounterBytes(1)) },
			func(key []byte) error { return increment(store, key) },
			func(key []byte) error {
				return store.UpdateWith(context.Background(), TxOptions{TriesMax: 1 << 30},
					func(tx *Tx) error { _, err := tx.Add(key, 1); return err })
			},
			func(key []byte) error { // move what is there away, and back
				value, err := store.GetAndDelete(key)
				if errors.Is(err, ErrNotFound) {
					return store.Merge(key, CounterBytes(1))
				}
				if err != nil {
					return err
				}
				n, err := CounterValue(value)
				return errors.Join(err, store.Merge(key, CounterBytes(n+1)))
			},
		}
		var wg sync.WaitGroup
		var done atomic.Bool
		var disturber sync.WaitGroup
		disturber.Go(func() {
			for !done.Load() {
				must(t, store.Flush(context.Background()), store.Compact(context.Background(), All()))
			}
		})
		keys := [][]byte{bs("a"), bs("b")}
		for _, way := range ways {
			wg.Go(func() {
				for i := range each {
					if err := way(keys[i%2]); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		done.Store(true)
		disturber.Wait()
		for _, key := range keys {
			if n, err := store.Add(key, 0); n != int64(len(ways)*each/2) || err != nil {
				t.Errorf("%v %s: %d, %v, want %d", durability, key, n, err, len(ways)*each/2)
			}
		}
		closeDB(t, store)
	}
}

// increment is a loop of CompareAndSwap, as users write it.
func increment(store *DB, key []byte) error {
	for {
		old, err := store.Get(key)
		n := int64(0)
		switch {
		case errors.Is(err, ErrNotFound):
			old = nil
		case err != nil:
			return err
		default:
			if n, err = CounterValue(old); err != nil {
				return err
			}
		}
		if done, err := store.CompareAndSwap(key, old, CounterBytes(n+1)); done || err != nil {
			return err
		}
	}
}

func TestOneOfManyStores(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	for round := range 50 {
		key := fmt.Appendf(nil, "lock%d", round)
		var stored, taken atomic.Int32
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				if ok, err := store.PutIfAbsent(key, fmt.Append(nil, worker)); err != nil {
					t.Error(err)
				} else if ok {
					stored.Add(1)
				}
			})
		}
		wg.Wait()
		for range 8 {
			wg.Go(func() {
				if _, err := store.GetAndDelete(key); err == nil {
					taken.Add(1)
				} else if !errors.Is(err, ErrNotFound) {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if stored.Load() != 1 || taken.Load() != 1 {
			t.Fatalf("%d stored, %d taken", stored.Load(), taken.Load())
		}
	}
}

// overtaken is a conditional write whose key is written by others between each
// of its looks and its commit, as long as they can.
func overtaken(store *DB, overtake func(try int) error) (tries int, err error) {
	c := store.main.newConditional(bs("k"))
	defer c.free()
	c.value = bs("mine")
	err = c.run(func(c *conditional) error {
		if err := c.compareAndSwapWhatever(); err != nil {
			return err
		}
		tries++
		if tries > conditionalTriesMax {
			return nil // it has the store to itself: others would wait for it
		}
		return overtake(tries)
	})
	return tries, err
}

// compareAndSwapWhatever sets the key to its value and what it had before.
func (c *conditional) compareAndSwapWhatever() error {
	value, _, err := c.current()
	if err != nil {
		return err
	}
	return c.q.own.put(c.ks, c.key, append(append([]byte{}, c.value...), value...), false)
}

func TestAConditionalWriteThatIsOvertakenComesToAnEnd(t *testing.T) {
	for _, durability := range []Durability{NoSync, Sync} {
		for last := 0; last <= conditionalTriesMax; last++ {
			opts := txOptions()
			opts.Durability = durability
			fs := vfs.NewMem()
			store := openMem(t, fs, opts)
			tries, err := overtaken(store, func(try int) error {
				if try > last {
					return nil
				}
				return store.Put(bs("k"), fmt.Append(nil, try))
			})
			want := "mine" // one look and one commit, if nobody comes in between
			if last > 0 {
				want = fmt.Sprint("mine", last)
			}
			if tries != last+1 || err != nil {
				t.Errorf("%d tries, %v", tries, err)
			}
			holds(t, store, "k", want)
			must(t, store.Put(bs("l"), nil))
			if durability == Sync {
				after := openMem(t, fs.CrashClone(nil), opts)
				holds(t, after, "k", want)
				closeDB(t, after)
			}
			closeDB(t, store)
		}
	}
}

func TestAConditionalWriteWithTheStoreToItselfFailsAsOthersDo(t *testing.T) {
	for _, kind := range []vfs.OpKind{vfs.OpWrite, vfs.OpSync} {
		for _, cause := range []error{syscall.EIO, syscall.ENOSPC} {
			var failing atomic.Bool
			mem := vfs.NewMem()
			opts := txOptions()
			opts.SyncInterval, opts.Durability = -1, Sync
			opts.FS = vfs.NewFaulty(mem, func(op vfs.Op) *vfs.Fault {
				if failing.Load() && op.Kind == kind && strings.HasSuffix(op.Path, ".wal") {
					return &vfs.Fault{Err: cause}
				}
				return nil
			})
			store, err := Open("/db", &opts)
			must(t, err)
			tries, err := overtaken(store, func(try int) error {
				err := store.Put(bs("k"), bs("other"))
				failing.Store(try == conditionalTriesMax)
				return err
			})
			if tries != conditionalTriesMax+1 || !errors.Is(err, cause) {
				t.Fatalf("%d tries, %v", tries, err)
			}
			holds(t, store, "k", "other")
			failing.Store(false)
			_, err = store.PutIfAbsent(bs("k"), nil)
			full := kind == vfs.OpWrite && cause == syscall.ENOSPC
			if readOnly := errors.Is(err, ErrReadOnly); readOnly == full {
				t.Errorf("%v %v: then %v", kind, cause, err)
			}
			if err := store.Close(); (err == nil) != full {
				t.Error(err)
			}
		}
	}
}

// A value that is written and being synced is not there yet, but nobody may act
// as if there never were one.
func TestAnswersWaitForWhatIsBeingSynced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSyncGate()
		opts := txOptions()
		opts.SyncInterval = -1
		opts.FS = vfs.NewFaulty(vfs.NewMem(), g.decide)
		store, err := Open("/db", &opts)
		must(t, err)
		defer closeDB(t, store)
		must(t, store.Put(bs("other"), nil))
		close(g.shut)
		b := store.NewBatch()
		must(t, b.Put(bs("k"), CounterBytes(5)))
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := store.Apply(b, Sync); err != nil {
				t.Error(err)
			}
		})
		<-g.waiting
		var early atomic.Bool
		early.Store(true)
		wg.Go(func() {
			if ok, err := store.PutIfAbsent(bs("k"), nil); ok || err != nil || early.Load() {
				t.Error(ok, err, early.Load())
			}
			if n, err := store.Add(bs("k"), 1); n != 6 || err != nil {
				t.Error(n, err)
			}
		})
		time.Sleep(20 * time.Millisecond) // of the bubble: all the others wait
		early.Store(false)
		close(g.open)
		wg.Wait()
	})
}

// What a conditional write allocates is what a Put does, and the value that
// GetAndDelete gives to its caller.
func TestConditionalWritesAllocateNothingOfTheirOwn(t *testing.T) {
	if info, ok := debug.ReadBuildInfo(); ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"}) {
		t.Skip("pools lose things under the race detector")
	}
	opts := Options{MemtableBytes: 64 << 20, SyncInterval: -1}
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	key, value, number := bs("key"), bs("value"), bs("number")
	must(t, store.Put(key, value))
	for name, call := range map[string]func() error{
		"PutIfAbsent":    func() error { _, err := store.PutIfAbsent(key, value); return err },
		"CompareAndSwap": func() error { _, err := store.CompareAndSwap(key, value, value); return err },
		"Add":            func() error { _, err := store.Add(number, 1); return err },
	} {
		n := testing.AllocsPerRun(2000, func() { must(t, call()) })
		if n > 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

func BenchmarkConditional(b *testing.B) {
	key, value := bs("key"), make([]byte, 8)
	for _, bench := range []struct {
		name string
		call func(store *DB) error
	}{
		{"GetPut", func(store *DB) error {
			_, err := store.Get(key)
			return errors.Join(err, store.Put(key, value))
		}},
		{"CompareAndSwap", func(store *DB) error { _, err := store.CompareAndSwap(key, value, value); return err }},
		{"Add", func(store *DB) error { _, err := store.Add(key, 0); return err }},
		{"PutIfAbsent/present", func(store *DB) error { _, err := store.PutIfAbsent(key, value); return err }},
		{"Update", func(store *DB) error {
			return store.Update(context.Background(), func(tx *Tx) error { _, err := tx.Add(key, 0); return err })
		}},
	} {
		for _, parallel := range []bool{false, true} {
			b.Run(fmt.Sprintf("%s/parallel=%v", bench.name, parallel), func(b *testing.B) {
				store, err := Open("/db", &Options{FS: vfs.NewMem()})
				if err == nil {
					err = store.Put(key, value)
				}
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				if parallel {
					b.SetParallelism(8)
					b.RunParallel(func(pb *testing.PB) {
						for pb.Next() {
							if err := bench.call(store); err != nil {
								b.Error(err)
							}
						}
					})
				} else {
					for b.Loop() {
						if err := bench.call(store); err != nil {
							b.Fatal(err)
						}
					}
				}
				b.StopTimer()
				if err := store.Close(); err != nil {
					b.Fatal(err)
				}
			})
		}
	}
}
