package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// callsOfTx are the calls that begin a transaction or belong to tx.
func callsOfTx(store *DB, tx *Tx, key []byte) map[string]func() error {
	ctx := context.Background()
	nothing := func(*Tx) error { return nil }
	scan := func(items iter.Seq2[Item, error]) error {
		for _, err := range items {
			return err
		}
		return nil
	}
	return map[string]func() error{
		"DB.Begin": func() error {
			tx, err := store.Begin(TxOptions{})
			if err == nil {
				tx.Discard()
			}
			return err
		},
		"DB.Update":     func() error { return store.Update(ctx, nothing) },
		"DB.UpdateWith": func() error { return store.UpdateWith(ctx, TxOptions{TriesMax: 1}, nothing) },
		"DB.View":       func() error { return store.View(nothing) },

		"Tx.Add":            func() error { _, err := tx.Add(append(bs("number/"), key...), 1); return err },
		"Tx.CompareAndSwap": func() error { _, err := tx.CompareAndSwap(key, nil, key); return err },
		"Tx.GetAndDelete":   func() error { _, err := tx.GetAndDelete(key); return err },
		"Tx.PutIfAbsent":    func() error { _, err := tx.PutIfAbsent(key, key); return err },
		"Tx.AppendGet":      func() error { _, err := tx.AppendGet(nil, key); return err },
		"Tx.Commit":         tx.Commit,
		"Tx.Delete":         func() error { return tx.Delete(key) },
		"Tx.DeleteRange":    func() error { return tx.DeleteRange(All()) },
		"Tx.Get":            func() error { _, err := tx.Get(key); return err },
		"Tx.GetForUpdate":   func() error { _, err := tx.GetForUpdate(key); return err },
		"Tx.Has":            func() error { _, err := tx.Has(key); return err },
		"Tx.In":             func() error { return tx.In(store.Default()).Put(key, key) },
		"Tx.Merge":          func() error { return tx.Merge(key, key) },
		"Tx.MultiGet":       func() error { _, err := tx.MultiGet(key, key); return err },
		"Tx.NewCursor": func() error {
			c, err := tx.NewCursor(All())
			if err == nil {
				err = c.Close()
			}
			return err
		},
		"Tx.Put":    func() error { return tx.Put(key, key) },
		"Tx.PutTTL": func() error { return tx.PutTTL(key, key, time.Hour) },
		"Tx.Scan":   func() error { return scan(tx.Scan(All())) },
	}
}

func TestEveryCallOnATransactionThatIsDoneSaysSo(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	for _, end := range []func(*Tx){(*Tx).Discard, func(tx *Tx) { must(t, tx.Commit()) }} {
		tx := mustTx(t, store, TxOptions{})
		must(t, tx.Put(bs("k"), bs("v")))
		cur, err := tx.NewCursor(All())
		must(t, err)
		if !cur.First() {
			t.Fatal(cur.Err())
		}
		end(tx)
		if cur.Next() || cur.First() || !errors.Is(cur.Err(), ErrClosed) {
			t.Errorf("a cursor of it: %v", cur.Err())
		}
		must(t, cur.Close())
		for name, call := range callsOfTx(store, tx, bs("k")) {
			if err := call(); strings.HasPrefix(name, "Tx.") && !errors.Is(err, ErrTxDone) {
				t.Errorf("%s: %v", name, err)
			}
		}
		tx.Discard()
	}
	if m := store.Metrics(); m.Cursors != 0 || m.Transactions != 0 {
		t.Errorf("%d cursors and %d transactions are left", m.Cursors, m.Transactions)
	}
	if n := store.openTxs.Load(); n != 0 || store.opened.txs != nil {
		t.Errorf("%d transactions are left", n)
	}
}

func TestATransactionReadsAsOfItsBeginning(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	must(t, store.Put(bs("a"), bs("old")), store.Put(bs("b"), bs("old")))
	tx := mustTx(t, store, TxOptions{ReadOnly: true})
	must(t, store.Put(bs("a"), bs("new")), store.Delete(bs("b")), store.Put(bs("c"), nil))
	must(t, store.Compact(context.Background(), All()))
	for _, k := range []string{"a", "b"} {
		if v, err := tx.Get(bs(k)); err != nil || string(v) != "old" {
			t.Errorf("%s: %s, %v", k, v, err)
		}
	}
	if keys := keysOf(t, tx, All()); keys != "a b" {
		t.Error(keys)
	}
	must(t, tx.Commit())
}

func TestCommitIsAllAndDiscardIsNothing(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	ks := mustKeyspace(t, store, "ks")
	write := func(tx *Tx) {
		must(t, tx.Put(bs("a"), bs("1")), tx.In(ks).Put(bs("b"), bs("2")), tx.Merge(bs("c"), bs("3")),
			tx.PutTTL(bs("d"), bs("4"), time.Hour), tx.Put(bs("e"), make([]byte, 5000)))
	}
	tx := mustTx(t, store, TxOptions{})
	write(tx)
	tx.Discard()
	if keys := keysOf(t, store, All()) + keysOf(t, ks, All()); keys != "" {
		t.Errorf("after Discard: %s", keys)
	}
	tx = mustTx(t, store, TxOptions{Durability: Sync})
	write(tx)
	if keys := keysOf(t, store, All()) + keysOf(t, ks, All()); keys != "" {
		t.Errorf("before Commit: %s", keys)
	}
	must(t, tx.Commit())
	if keys := keysOf(t, store, All()) + "|" + keysOf(t, ks, All()); keys != "a c d e|b" {
		t.Errorf("after Commit: %s", keys)
	}
}

func TestReadOnlyTransactionsTakeNoWritesAndKeepNoAccount(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	must(t, store.Put(bs("k"), bs("v")))
	tx := mustTx(t, store, TxOptions{ReadOnly: true})
	for name, err := range map[string]error{"Put": tx.Put(nil, nil), "PutTTL": tx.PutTTL(nil, nil, 1), "Delete": tx.Delete(nil),
		"DeleteRange": tx.DeleteRange(All()), "Merge": tx.Merge(nil, nil)} {
		if !errors.Is(err, ErrTxReadOnly) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tx.GetForUpdate(bs("k")); !errors.Is(err, ErrTxReadOnly) {
		t.Error(err)
	}
	get("k")(t, tx, nil)
	keysOf(t, tx, All())
	must(t, store.Put(bs("k"), bs("new")))
	if !tx.root.core.read.empty() || store.openTxs.Load() != 0 {
		t.Error("it keeps an account of its reads")
	}
	// Not even a pipeline that stands still holds it up.
	must(t, store.pipeline.Exclusive(func() error { return tx.Commit() }))
	must(t, store.pipeline.Exclusive(func() error {
		return store.View(func(tx *Tx) error { get("k")(t, tx, nil); return nil })
	}))
}

func TestAFailedWriteOfATransactionFailsItsCommit(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	other := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, other)
	for name, c := range map[string]struct {
		write func(tx *Tx) error
		want  error
	}{
		"key":      {func(tx *Tx) error { return tx.Put(make([]byte, MaxKeyBytes+1), nil) }, ErrKeyTooLarge},
		"range":    {func(tx *Tx) error { return tx.DeleteRange(Between(bs("b"), bs("a"))) }, ErrInvalidRange},
		"ttl":      {func(tx *Tx) error { return tx.PutTTL(bs("k"), nil, 0) }, ErrInvalidTTL},
		"operator": {func(tx *Tx) error { return tx.Merge(bs("k"), nil) }, ErrNoMerge},
	} {
		tx := mustTx(t, store, TxOptions{})
		must(t, tx.Put(bs("fine"), nil))
		if err := c.write(tx); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err := tx.Commit(); !errors.Is(err, c.want) {
			t.Errorf("%s: Commit: %v", name, err)
		}
	}
	tx := mustTx(t, store, TxOptions{})
	if err := tx.In(other.Default()).Put(bs("k"), nil); !errors.Is(err, errForeignKeyspace) {
		t.Error(err)
	}
	if keys := keysOf(t, store, All()); keys != "" {
		t.Error(keys)
	}
	if _, err := store.Begin(TxOptions{Isolation: 9}); !errors.Is(err, errOptions) {
		t.Error(err)
	}
}

func TestAReadOnlyStoreHasReadOnlyTransactions(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, smallOptions())
	must(t, store.Put(bs("k"), bs("v")))
	closeDB(t, store)
	opts := smallOptions()
	opts.ReadOnly = true
	store = openMem(t, fs, opts)
	defer closeDB(t, store)
	if _, err := store.Begin(TxOptions{}); !errors.Is(err, ErrReadOnly) {
		t.Error(err)
	}
	must(t, store.View(func(tx *Tx) error { _, err := tx.Get(bs("k")); return err }))
	if n := store.openTxs.Load(); n != 0 {
		t.Errorf("%d transactions are left", n)
	}
}

func TestATransactionLargerThanMemtablesIsOneCommit(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.MemtableBytes = 4 << 10
	store := openMem(t, fs, opts)
	const n = 4000
	key := func(i int) []byte { return fmt.Appendf(nil, "k%05d", i) }
	value := func(i int) []byte { return bytes.Repeat([]byte{byte(i)}, 1+i*13%2000) }
	must(t, store.Update(context.Background(), func(tx *Tx) error {
		for i := range n {
			if err := tx.Put(key(i*7919%n), value(i*7919%n)); err != nil {
				return err
			}
			if _, err := tx.Get(key(i * 31 % n)); err != nil && !errors.Is(err, ErrNotFound) {
				return err
			}
		}
		if b := tx.root.core.own.batch.bytes; b < 900*opts.MemtableBytes {
			t.Errorf("only %d bytes", b)
		}
		for item, err := range tx.Scan(All()) {
			if err != nil {
				return err
			}
			i := 0
			if _, err := fmt.Sscanf(string(item.Key()), "k%05d", &i); err != nil {
				return err
			}
			if v, err := item.Value(); err != nil || !bytes.Equal(v, value(i)) {
				t.Fatalf("%s: %d bytes, %v", item.Key(), len(v), err)
			}
		}
		return nil
	}))
	closeDB(t, store)
	store = openMem(t, fs, opts)
	defer closeDB(t, store)
	for i := range n {
		wantValue(t, store, key(i), value(i))
	}
}

func TestTheReadSetOfATransactionIsBounded(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	defer closeDB(t, store)
	tx := mustTx(t, store, TxOptions{})
	tx.root.core.read.max = 10 * kib
	for i := range 20_000 {
		get(fmt.Sprintf("k%06d", i))(t, tx, nil)
	}
	if size := tx.root.core.read.size(); size > 11*kib {
		t.Errorf("%d bytes", size)
	}
	must(t, tx.Put(bs("mine"), nil))
	must(t, store.Put(bs("k009999"), nil))
	if err := tx.Commit(); !errors.Is(err, ErrConflict) {
		t.Error(err)
	}
}

func TestATransactionUsedByTwoAtOnceSaysSo(t *testing.T) {
	opts := smallOptions()
	var tx *Tx
	var inner error
	opts.Merge = mergeFunc(func() { _, inner = tx.Get(bs("k")) })
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	must(t, store.Merge(bs("k"), nil))
	tx = mustTx(t, store, TxOptions{})
	_, err := tx.Get(bs("k"))
	must(t, err)
	if !errors.Is(inner, errTxShared) {
		t.Error(inner)
	}
}

// mergeFunc is an operator that calls itself.
type mergeFunc func()

func (mergeFunc) Name() string { return "test" }
func (f mergeFunc) Merge(dst, _, _ []byte, _ bool, _ [][]byte) ([]byte, error) {
	f()
	return dst, nil
}
func (mergeFunc) Combine(dst, _, _, _ []byte) ([]byte, bool) { return dst, false }

func TestTransactionsLeftOpenAreReportedAndEnd(t *testing.T) {
	var mu sync.Mutex
	leaks := map[string]string{}
	opts := smallOptions()
	opts.Events = func(e Event) {
		if l, ok := e.(Leak); ok {
			mu.Lock()
			defer mu.Unlock()
			leaks[l.What] = l.Where
		}
	}
	store := openMem(t, vfs.NewMem(), opts)
	must(t, store.Put(bs("k"), bs("v")))
	tx := leakTx(t, store)
	ended := mustTx(t, store, TxOptions{})
	must(t, ended.Commit())
	closeDB(t, store)
	mu.Lock()
	if len(leaks) != 1 || !strings.Contains(leaks["transaction"], "leakTx") {
		t.Errorf("reported: %v", leaks)
	}
	mu.Unlock()
	for range 2 {
		if _, err := tx.Get(bs("k")); !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	}
	tx.Discard()
	if _, err := tx.Get(bs("k")); !errors.Is(err, ErrTxDone) {
		t.Error(err)
	}
}

//go:noinline
func leakTx(t *testing.T, store *DB) *Tx {
	tx, err := store.Begin(TxOptions{})
	must(t, err, tx.Put(bs("k"), bs("mine")))
	return tx
}

func TestCloseBesideTransactions(t *testing.T) {
	for round := range 30 {
		fs := vfs.NewMem()
		store := openMem(t, fs, txOptions())
		var wg sync.WaitGroup
		var closed atomic.Bool
		var made atomic.Int64 // calls
		for worker := range 4 {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(round), uint64(worker)))
				for {
					ended := closed.Load()
					err := store.Update(context.Background(), func(tx *Tx) error {
						for _, call := range callsOfTx(store, tx, fmt.Append(nil, rng.IntN(20))) {
							err := call()
							made.Add(1)
							switch {
							case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, errTxManaged):
							case errors.Is(err, ErrClosed), errors.Is(err, ErrConflict):
								return err
							default:
								t.Error(err)
							}
						}
						return nil
					})
					switch {
					case errors.Is(err, ErrClosed):
						return
					case ended:
						t.Errorf("a transaction on a closed store: %v", err)
						return
					}
				}
			})
		}
		afterCalls(t, &made, int64(round%10*40))
		closeDB(t, store)
		closed.Store(true)
		wg.Wait()
		if n := fs.OpenHandles(); n != 0 {
			t.Fatalf("%d handles open", n)
		}
	}
}

func TestATransactionNeedsRoomForItsSequenceNumbers(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	seq := store.visible.Swap(uint64(ownSeqMin))
	if _, err := store.Begin(TxOptions{}); !errors.Is(err, errOwnSeq) {
		t.Error(err)
	}
	store.visible.Store(seq)
	var o ownWrites
	if _, err := o.largeValue(base.Pointer{Offset: 3}.Append(nil)); !errors.Is(err, errOwnSeq) {
		t.Error(err)
	}
	closeDB(t, store)
}
