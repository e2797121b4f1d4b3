package db

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestUpdateTriesAgainUntilItCommits(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	must(t, store.Put(bs("n"), CounterBytes(0)))
	const workers, rounds = 4, 200
	var tries atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				err := store.UpdateWith(context.Background(), TxOptions{TriesMax: 10_000}, func(tx *Tx) error {
					tries.Add(1)
					v, err := tx.Get(bs("n"))
					if err != nil {
						return err
					}
					n, err := CounterValue(v)
					if err != nil {
						return err
					}
					runtime.Gosched() // let others in
					return tx.Put(bs("n"), CounterBytes(n+1))
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	v, err := store.Get(bs("n"))
	must(t, err)
	if n, _ := CounterValue(v); n != workers*rounds {
		t.Errorf("%d after %d increments", n, workers*rounds)
	}
	t.Logf("%d tries for %d commits", tries.Load(), workers*rounds)
}

// alwaysBeaten is a function for Update that meets a conflict each time.
func alwaysBeaten(t *testing.T, store *DB, tries *int) func(tx *Tx) error {
	return func(tx *Tx) error {
		*tries++
		get("k")(t, tx, nil)
		return errors.Join(store.Put(bs("k"), nil), tx.Put(bs("mine"), nil))
	}
}

func TestUpdateGivesUpAfterItsTries(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	for max, want := range map[int]int{0: 100, 1: 1, 7: 7} {
		tries := 0
		err := store.UpdateWith(context.Background(), TxOptions{TriesMax: max}, alwaysBeaten(t, store, &tries))
		if !errors.Is(err, ErrConflict) || tries != want || !strings.Contains(err.Error(), fmt.Sprint(want)) {
			t.Errorf("at most %d: %d tries, %v", max, tries, err)
		}
	}
	if n := store.openTxs.Load(); n != 0 {
		t.Errorf("%d transactions are left", n)
	}
	if m := store.Metrics(); m.Conflicts != 108 || m.Transactions != 0 {
		t.Errorf("%d conflicts, %d transactions", m.Conflicts, m.Transactions)
	}
}

func TestUpdateEndsWithItsContext(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	ctx, cancel := context.WithCancel(context.Background())
	tries := 0
	err := store.UpdateWith(ctx, TxOptions{TriesMax: 1 << 30}, func(tx *Tx) error {
		if tries == 5 {
			cancel()
		}
		return alwaysBeaten(t, store, &tries)(tx)
	})
	if !errors.Is(err, context.Canceled) || !errors.Is(err, ErrConflict) || tries != 6 {
		t.Errorf("%d tries, %v", tries, err)
	}
	ran := false
	if err := store.Update(ctx, func(*Tx) error { ran = true; return nil }); !errors.Is(err, context.Canceled) || ran {
		t.Error(ran, err)
	}
}

func TestAnErrorOfTheFunctionRollsBackAndComesBackAsItIs(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	tries := 0
	for _, want := range []error{errors.New("mine"), ErrConflict} {
		tries = 0
		err := store.Update(context.Background(), func(tx *Tx) error {
			tries++
			must(t, tx.Put(bs("k"), nil))
			return want
		})
		if err != want || tries != 1 {
			t.Errorf("%v after %d tries", err, tries)
		}
	}
	if err := store.View(func(*Tx) error { return ErrNotFound }); err != ErrNotFound {
		t.Error(err)
	}
	if keys := keysOf(t, store, All()); keys != "" {
		t.Error(keys)
	}
}

func TestAPanicOfTheFunctionRollsBackAndGoesOn(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	for name, run := range map[string]func(func(*Tx) error) error{
		"Update": func(fn func(*Tx) error) error { return store.Update(context.Background(), fn) },
		"View":   store.View,
	} {
		var kept *Tx
		func() {
			defer func() {
				if v := recover(); v != "oops" {
					t.Errorf("%s: recovered %v", name, v)
				}
			}()
			_ = run(func(tx *Tx) error {
				kept = tx
				_ = tx.Put(bs("k"), nil)
				_, err := tx.NewCursor(All())
				must(t, err)
				panic("oops")
			})
		}()
		if _, err := kept.Get(bs("k")); !errors.Is(err, ErrTxDone) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if keys := keysOf(t, store, All()); keys != "" || store.opened.txs != nil || store.openTxs.Load() != 0 {
		t.Error(keys, "or a transaction is left")
	}
}

func TestTheFunctionOfUpdateNeitherCommitsNorKeepsItsTransaction(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	var kept, view *Tx
	must(t, store.Update(context.Background(), func(tx *Tx) error {
		kept = tx
		if err := tx.Commit(); !errors.Is(err, errTxManaged) {
			t.Error(err)
		}
		return tx.Put(bs("k"), bs("v"))
	}))
	must(t, store.View(func(tx *Tx) error {
		view = tx
		if err := tx.Commit(); !errors.Is(err, errTxManaged) {
			t.Error(err)
		}
		return nil
	}))
	for _, tx := range []*Tx{kept, view} {
		if err := tx.Put(bs("k"), bs("late")); !errors.Is(err, ErrTxDone) {
			t.Error(err)
		}
	}
	err := store.Update(context.Background(), func(tx *Tx) error {
		must(t, tx.Put(bs("k"), bs("never")))
		tx.Discard()
		return nil
	})
	if !errors.Is(err, ErrTxDone) {
		t.Error(err)
	}
	if v, err := store.Get(bs("k")); err != nil || string(v) != "v" {
		t.Errorf("%s, %v", v, err)
	}
}

func TestTransactionsMayBeNested(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	must(t, store.Update(context.Background(), func(outer *Tx) error {
		must(t, outer.Put(bs("outer"), nil), store.Put(bs("plain"), nil))
		must(t, store.Update(context.Background(), func(inner *Tx) error {
			if keys := keysOf(t, inner, All()); keys != "plain" {
				t.Error(keys)
			}
			return inner.Put(bs("inner"), nil)
		}))
		return store.View(func(view *Tx) error {
			if keys := keysOf(t, view, All()); keys != "inner plain" {
				t.Error(keys)
			}
			return nil
		})
	}))
	if keys := keysOf(t, store, All()); keys != "inner outer plain" {
		t.Error(keys)
	}
}

// TestATransactionBesideAFilteredRunSeesNoValueVanish, as a snapshot does not.
func TestATransactionBesideAFilteredRunSeesNoValueVanish(t *testing.T) {
	opts := smallOptions()
	var begin atomic.Pointer[func()]
	opts.CompactionFilter = filterFunc(func(*FilterEntry) (FilterDecision, error) {
		if fn := begin.Swap(nil); fn != nil {
			(*fn)()
		}
		return FilterDrop, nil
	})
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	for i := range 100 {
		must(t, store.Put(fmt.Appendf(nil, "%03d", i), make([]byte, 10)))
	}
	var tx *Tx
	var before string
	fn := func() {
		var err error
		if tx, err = store.Begin(TxOptions{ReadOnly: true}); err != nil {
			t.Error(err)
			return
		}
		before = keysOf(t, tx, All())
	}
	begin.Store(&fn)
	must(t, store.Compact(context.Background(), All()))
	if tx == nil {
		t.Fatal("the filter was not asked")
	}
	defer tx.Discard()
	if after := keysOf(t, tx, All()); before == "" || after != before {
		t.Errorf("saw %d bytes of keys, then %d", len(before), len(after))
	}
}

func TestATransactionEndsTheWaitOfWhatItHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMem(t, vfs.NewMem(), smallOptions())
		defer closeDB(t, store)
		tx := mustTx(t, store, TxOptions{ReadOnly: true})
		if seqs := store.snapshotSeqs(); len(seqs) != 1 {
			t.Fatal(seqs)
		}
		tx.root.core.began = time.Now().Add(-time.Minute)
		looks := 0
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			_ = store.waitFor(ctx, func() (bool, error) { looks++; return false, nil })
		}()
		synctest.Wait() // where the clock stands: nothing else wakes anybody
		before := looks
		tx.Discard()
		synctest.Wait()
		if before == 0 || looks == before {
			t.Errorf("it told nobody: %d looks, %d before", looks, before)
		}
		cancel()
		synctest.Wait()
		if seqs := store.snapshotSeqs(); len(seqs) != 0 {
			t.Fatal(seqs)
		}
	})
}

// Whoever passes no keyspace learns where, instead of waiting for ever.
func TestATransactionOnNoKeyspacePanicsAndEnds(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	done := make(chan any, 1)
	go func() {
		defer func() { done <- recover() }()
		_ = store.View(func(tx *Tx) error { _, err := tx.In(nil).Get(bs("k")); return err })
	}()
	select {
	case got := <-done:
		if got == nil {
			t.Error("no panic")
		}
	case <-time.After(testkit.HangsAfter):
		t.Fatal("the transaction does not end")
	}
}
