package db

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// txOptions are options for transactions over small trees. No background work
// queues up with their commits: see heldUp.
func txOptions() Options {
	o := smallOptions()
	o.Merge, o.SyncInterval = Append(), -1
	return o
}

func bs(s string) []byte { return []byte(s) }

// mustTx begins a transaction that is discarded at the end of the test.
func mustTx(t *testing.T, store *DB, o TxOptions) *Tx {
	t.Helper()
	tx, err := store.Begin(o)
	must(t, err)
	t.Cleanup(tx.Discard)
	return tx
}

func mustKeyspace(t *testing.T, store *DB, name string) *Keyspace {
	t.Helper()
	ks, err := store.Keyspace(name, &KeyspaceOptions{Merge: Append()})
	must(t, err)
	return ks
}

// keysOf scans r and returns the keys, joined.
func keysOf(t *testing.T, in Reader, r Range) string {
	t.Helper()
	var keys []string
	for item, err := range in.Scan(r) {
		must(t, err)
		keys = append(keys, string(item.Key()))
	}
	return strings.Join(keys, " ")
}

// conflictCase: a transaction reads, somebody else writes, the transaction
// writes and commits. The store has b=1, d=1, f=1, h=1 in both keyspaces.
type conflictCase struct {
	name  string
	reads func(t *testing.T, tx *Tx, ks *Keyspace)
	other func(db *DB, ks *Keyspace) error
	write func(tx *Tx, ks *Keyspace) error // nil: Put of "0mine"

	serializable, snapshot bool // whether that is a conflict
}

func get(key string) func(*testing.T, *Tx, *Keyspace) {
	return func(t *testing.T, tx *Tx, _ *Keyspace) {
		if _, err := tx.Get(bs(key)); err != nil && !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
}

func put(key string) func(*DB, *Keyspace) error {
	return func(db *DB, _ *Keyspace) error { return db.Put(bs(key), bs("other")) }
}

func txPut(key string) func(*Tx, *Keyspace) error {
	return func(tx *Tx, _ *Keyspace) error { return tx.Put(bs(key), bs("tx")) }
}

// moves makes the moves of a cursor over r: F, L, n, p, gKEY, lKEY.
func moves(r Range, path string) func(*testing.T, *Tx, *Keyspace) {
	return func(t *testing.T, tx *Tx, _ *Keyspace) {
		c, err := tx.NewCursor(r)
		if err != nil {
			t.Fatal(err)
		}
		for m := range strings.FieldsSeq(path) {
			switch m[0] {
			case 'F':
				c.First()
			case 'L':
				c.Last()
			case 'n':
				c.Next()
			case 'p':
				c.Prev()
			case 'g':
				c.SeekGE(bs(m[1:]))
			case 'l':
				c.SeekLT(bs(m[1:]))
			}
			if c.Err() != nil {
				t.Error(c.Err())
			}
		}
	}
}

func conflictCases() []conflictCase {
	nothing := func(*testing.T, *Tx, *Keyspace) {}
	between := Between(bs("c"), bs("g"))
	return []conflictCase{
		{"a key that was read is overwritten", get("b"), put("b"), nil, true, false},
		{"another key is", get("b"), put("d"), nil, false, false},
		{"a missing key is inserted", get("c"), put("c"), nil, true, false},
		{"a key is deleted", get("b"), func(db *DB, _ *Keyspace) error { return db.Delete(bs("b")) }, nil, true, false},
		{"a key is deleted with its range", get("b"), func(db *DB, _ *Keyspace) error { return db.DeleteRange(between) }, nil, false, false},
		{"a key is deleted by a range", get("d"), func(db *DB, _ *Keyspace) error { return db.DeleteRange(between) }, nil, true, false},
		{"a key is merged into", get("b"), func(db *DB, _ *Keyspace) error { return db.Merge(bs("b"), bs("+")) }, nil, true, false},
		{"a key is given a large value", get("b"), func(db *DB, _ *Keyspace) error { return db.Put(bs("b"), make([]byte, 3000)) }, nil, true, false},
		{"the key is in another keyspace", get("b"), func(_ *DB, ks *Keyspace) error { return ks.Put(bs("b"), nil) }, nil, false, false},
		{"the key was read from another keyspace",
			func(t *testing.T, tx *Tx, ks *Keyspace) { get("b")(t, tx.In(ks), ks) },
			func(_ *DB, ks *Keyspace) error { return ks.Put(bs("b"), nil) }, nil, true, false},
		{"the keyspace was dropped",
			func(t *testing.T, tx *Tx, ks *Keyspace) { get("b")(t, tx.In(ks), ks) },
			func(db *DB, ks *Keyspace) error { return db.DropKeyspace(ks.Name()) }, nil, true, false},
		{"Has of a key", func(t *testing.T, tx *Tx, _ *Keyspace) { _, err := tx.Has(bs("c")); must(t, err) }, put("c"), nil, true, false},
		{"MultiGet of a key", func(t *testing.T, tx *Tx, _ *Keyspace) { _, err := tx.MultiGet(bs("z"), bs("c")); must(t, err) }, put("c"), nil, true, false},
		{"GetForUpdate of a key", func(t *testing.T, tx *Tx, _ *Keyspace) { _, _ = tx.GetForUpdate(bs("c")) }, put("c"), nil, true, true},

		{"a phantom in a prefix", func(t *testing.T, tx *Tx, _ *Keyspace) { keysOf(t, tx, Prefix(bs("x/"))) }, put("x/1"), nil, true, false},
		{"no phantom beside it", func(t *testing.T, tx *Tx, _ *Keyspace) { keysOf(t, tx, Prefix(bs("x/"))) }, put("x0"), nil, false, false},
		{"a phantom in a scan of all", func(t *testing.T, tx *Tx, _ *Keyspace) { keysOf(t, tx, All()) }, put("zz"), nil, true, false},
		{"a phantom in a backward scan", func(t *testing.T, tx *Tx, _ *Keyspace) { keysOf(t, tx, All().Backward()) }, put(""), nil, true, false},
		{"a range delete over a scan", func(t *testing.T, tx *Tx, _ *Keyspace) { keysOf(t, tx, between) },
			func(db *DB, _ *Keyspace) error { return db.DeleteRange(Between(bs("f"), bs("z"))) }, nil, true, false},
		{"a range delete beside a scan", func(t *testing.T, tx *Tx, _ *Keyspace) { keysOf(t, tx, between) },
			func(db *DB, _ *Keyspace) error { return db.DeleteRange(Between(bs("g"), bs("z"))) }, nil, false, false},
		{"a scan that ended early saw what it passed", func(t *testing.T, tx *Tx, _ *Keyspace) {
			for range tx.Scan(All()) {
				break
			}
		}, put("a"), nil, true, false},
		{"and no more", func(t *testing.T, tx *Tx, _ *Keyspace) {
			for range tx.Scan(All()) {
				break
			}
		}, put("c"), nil, false, false},
		{"a cursor between two keys", moves(All(), "gc n"), put("e"), nil, true, false},
		{"a cursor on its first key", moves(All(), "gc"), put("d"), nil, true, false},
		{"a cursor before its seek", moves(All(), "gc n"), put("b"), nil, false, false},
		{"a cursor behind its key", moves(All(), "gc n"), put("g"), nil, false, false},
		{"a cursor backward", moves(All(), "lg p"), put("e"), nil, true, false},
		{"a cursor backward, below its key", moves(All(), "lg p"), put("c"), nil, false, false},
		{"a cursor backward, its seek", moves(All(), "lg p"), put("g"), nil, false, false},
		{"a cursor that turned, above", moves(All(), "gd n p p"), put("e"), nil, true, false},
		{"a cursor that turned, below", moves(All(), "gd n p p"), put("c"), nil, true, false},
		{"a cursor that turned, beyond", moves(All(), "gd n p p"), put("a"), nil, false, false},
		{"a cursor that jumped, left", moves(All(), "ga gg"), put("a"), nil, true, false},
		{"a cursor that jumped, gap", moves(All(), "ga gg"), put("e"), nil, false, false},
		{"a cursor from the back", moves(All(), "L"), put("i"), nil, true, false},
		{"a cursor from the back of a range", moves(between, "L"), put("f0"), nil, true, false},
		{"a cursor from the back of a range, outside", moves(between, "L"), put("g"), nil, false, false},
		{"a cursor off the front", moves(between, "F p"), put("c"), nil, true, false},
		{"a cursor that did not move", moves(All(), ""), put("b"), nil, false, false},

		{"blind writes", nothing, put("0mine"), nil, false, true},
		{"blind writes of other keys", nothing, put("b"), nil, false, false},
		{"a blind delete", nothing, put("b"), func(tx *Tx, _ *Keyspace) error { return tx.Delete(bs("b")) }, false, true},
		{"a blind range delete", nothing, put("e"), func(tx *Tx, _ *Keyspace) error { return tx.DeleteRange(between) }, false, true},
		{"a blind merge", nothing, func(db *DB, _ *Keyspace) error { return db.Merge(bs("b"), bs("x")) },
			func(tx *Tx, _ *Keyspace) error { return tx.Merge(bs("b"), bs("y")) }, false, false},
		{"a blind write to another keyspace", nothing, func(_ *DB, ks *Keyspace) error { return ks.Put(bs("b"), nil) },
			func(tx *Tx, ks *Keyspace) error { return tx.In(ks).Put(bs("b"), nil) }, false, true},
		{"reading an own write", func(t *testing.T, tx *Tx, _ *Keyspace) { must(t, tx.Put(bs("b"), nil)); get("b")(t, tx, nil) }, put("b"), nil, false, true},
		{"reading an own delete", func(t *testing.T, tx *Tx, _ *Keyspace) { must(t, tx.Delete(bs("b"))); get("b")(t, tx, nil) }, put("b"), nil, false, true},
		{"reading under an own range delete", func(t *testing.T, tx *Tx, _ *Keyspace) { must(t, tx.DeleteRange(between)); get("e")(t, tx, nil) }, put("e"), nil, false, true},
		{"reading under an own merge", func(t *testing.T, tx *Tx, _ *Keyspace) { must(t, tx.Merge(bs("b"), nil)); get("b")(t, tx, nil) }, put("b"), nil, true, false},
		{"read before writing", get("b"), put("b"), txPut("b"), true, true},
		{"writes nothing", get("b"), put("b"), func(*Tx, *Keyspace) error { return nil }, false, false},
	}
}

// settle brings what was written to where a transaction has to look for it.
var settlings = map[string]func(db *DB) error{
	"memtable": func(*DB) error { return nil },
	"flushed":  func(db *DB) error { return db.Flush(context.Background()) },
	"compacted": func(db *DB) error {
		ks := db.spaces.named("ks")
		if ks != nil {
			if err := ks.Compact(context.Background(), All()); err != nil {
				return err
			}
		}
		return db.Compact(context.Background(), All())
	},
}

func TestConflictsAreFoundWhereverTheyAre(t *testing.T) {
	testkit.Sequential(t)
	for where, settle := range settlings {
		for _, c := range conflictCases() {
			for _, isolation := range []Isolation{Serializable, SnapshotIsolation} {
				t.Run(fmt.Sprintf("%s/%s/%d", where, strings.ReplaceAll(c.name, " ", "-"), isolation), func(t *testing.T) {
					runConflictCase(t, c, isolation, settle)
				})
			}
		}
	}
}

func runConflictCase(t *testing.T, c conflictCase, isolation Isolation, settle func(*DB) error) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	ks := mustKeyspace(t, store, "ks")
	for _, k := range []string{"b", "d", "f", "h"} {
		must(t, store.Put(bs(k), bs("1")), ks.Put(bs(k), bs("1")))
	}
	must(t, settle(store))
	tx, err := store.Begin(TxOptions{Isolation: isolation})
	must(t, err)
	defer tx.Discard()
	c.reads(t, tx, ks)
	must(t, c.other(store, ks), settle(store))
	write := c.write
	if write == nil {
		write = txPut("0mine")
	}
	must(t, write(tx, ks))
	before := keysOf(t, store, All())
	err = tx.Commit()
	want := c.serializable
	if isolation == SnapshotIsolation {
		want = c.snapshot
	}
	if want != errors.Is(err, ErrConflict) || !want && err != nil {
		t.Errorf("conflict %v, got %v", want, err)
	}
	if err != nil && keysOf(t, store, All()) != before {
		t.Error("a refused transaction has left something")
	}
	if err := tx.Commit(); !errors.Is(err, ErrTxDone) {
		t.Errorf("second Commit: %v", err)
	}
}

// TestTwoThatFindAPrefixEmptyDoNotBothInsert: Badger's "serializable" is blind
// to phantoms.
func TestTwoThatFindAPrefixEmptyDoNotBothInsert(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	a, b := mustTx(t, store, TxOptions{}), mustTx(t, store, TxOptions{})
	for i, tx := range []*Tx{a, b} {
		if keys := keysOf(t, tx, Prefix(bs("seat/"))); keys != "" {
			t.Fatal(keys)
		}
		must(t, tx.Put(fmt.Appendf(nil, "seat/%d", i), nil))
	}
	must(t, a.Commit())
	if err := b.Commit(); !errors.Is(err, ErrConflict) {
		t.Fatal(err)
	}
	if keys := keysOf(t, store, All()); keys != "seat/0" {
		t.Error(keys)
	}
}

// TestWriteSkew is what the two levels differ in.
func TestWriteSkewIsPreventedBySerializableAlone(t *testing.T) {
	for isolation, want := range []error{ErrConflict, nil} {
		store := openMem(t, vfs.NewMem(), txOptions())
		must(t, store.Put(bs("x"), bs("1")), store.Put(bs("y"), bs("1")))
		var txs []*Tx
		for range 2 {
			txs = append(txs, mustTx(t, store, TxOptions{Isolation: Isolation(isolation)}))
		}
		for i, tx := range txs {
			_, err := tx.MultiGet(bs("x"), bs("y"))
			must(t, err, tx.Put(bs([]string{"x", "y"}[i]), bs("0")))
		}
		must(t, txs[0].Commit())
		if err := txs[1].Commit(); !errors.Is(err, want) {
			t.Errorf("isolation %d: %v", isolation, err)
		}
		closeDB(t, store)
	}
}

// heldUp lets commits queue up, and runs them in one group or, if they are
// large, in one after the other.
func heldUp(t *testing.T, store *DB, commits ...func() error) []error {
	t.Helper()
	errs := make([]error, len(commits))
	hold, held := make(chan struct{}), make(chan struct{})
	go func() {
		if err := store.pipeline.Exclusive(func() error { close(held); <-hold; return nil }); err != nil {
			t.Error(err)
		}
	}()
	<-held
	done := make(chan int)
	for i, commit := range commits {
		go func() { errs[i] = commit(); done <- i }()
		for store.pipeline.Queued() <= i { // so that they queue in this order
			time.Sleep(time.Millisecond)
		}
	}
	close(hold)
	for range commits {
		<-done
	}
	return errs
}

func TestConflictsInsideOneGroupAreFound(t *testing.T) {
	for _, durability := range []Durability{NoSync, Sync} {
		store := openMem(t, vfs.NewMem(), txOptions())
		must(t, store.Put(bs("k"), bs("0")))
		var commits []func() error
		for i := range 4 {
			tx := mustTx(t, store, TxOptions{Durability: durability})
			get("k")(t, tx, nil)
			must(t, tx.Put(bs("k"), fmt.Append(nil, i)), tx.Put(fmt.Append(nil, "k", i), nil))
			commits = append(commits, tx.Commit)
		}
		commits = append(commits, func() error { return store.Put(bs("plain"), nil) })
		blind := mustTx(t, store, TxOptions{})
		must(t, blind.Put(bs("k"), bs("blind")))
		commits = append(commits, blind.Commit)
		seq := store.visible.Load()
		errs := heldUp(t, store, commits...)
		for i, err := range errs {
			want := error(nil)
			if i >= 1 && i <= 3 {
				want = ErrConflict
			}
			if !errors.Is(err, want) {
				t.Errorf("durability %v: commit %d: %v", durability, i, err)
			}
		}
		if keys := keysOf(t, store, All()); keys != "k k0 plain" {
			t.Error(keys)
		}
		if used := store.visible.Load() - seq; used != 4 {
			t.Errorf("%d sequence numbers for 4 writes", used)
		}
		closeDB(t, store)
	}
}

// syncGate holds up syncs of the WAL while it is shut.
type syncGate struct {
	shut    chan struct{} // closed: syncs wait
	open    chan struct{} // closed: they go on
	waiting chan struct{} // gets one for each sync that waits
}

func newSyncGate() *syncGate {
	return &syncGate{make(chan struct{}), make(chan struct{}), make(chan struct{}, 100)}
}

func (g *syncGate) decide(op vfs.Op) *vfs.Fault {
	if op.Kind == vfs.OpSync && strings.HasSuffix(op.Path, ".wal") {
		select {
		case <-g.shut:
			g.waiting <- struct{}{}
			<-g.open
		default:
		}
	}
	return nil
}

func TestConflictsWithCommitsThatAreNotPublishedAreFound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newSyncGate()
		opts := txOptions()
		opts.FS = vfs.NewFaulty(vfs.NewMem(), g.decide)
		store, err := Open("/db", &opts)
		must(t, err)
		defer closeDB(t, store)
		must(t, store.Put(bs("k"), bs("0")), store.Put(bs("l"), bs("0")))
		readers := map[string]*Tx{}
		for _, k := range []string{"k", "l", "m"} {
			readers[k] = mustTx(t, store, TxOptions{Durability: NoSync})
			get(k)(t, readers[k], nil)
			must(t, readers[k].Put(bs("by "+k), nil))
		}
		close(g.shut)
		b := store.NewBatch()
		must(t, b.Put(bs("k"), bs("1")), b.DeleteRange(Between(bs("l"), bs("m"))))
		first := make(chan error, 1)
		go func() { first <- store.Apply(b, Sync) }()
		<-g.waiting
		if _, err := store.Get(bs("by k")); !errors.Is(err, ErrNotFound) {
			t.Fatal(err)
		}
		if v, err := store.Get(bs("k")); err != nil || string(v) != "0" {
			t.Fatalf("%s, %v: published before it is synced", v, err)
		}
		for _, k := range []string{"k", "l"} {
			if err := readers[k].Commit(); !errors.Is(err, ErrConflict) {
				t.Errorf("%s: %v", k, err)
			}
		}
		tries, updated := 0, make(chan error, 1)
		go func() {
			updated <- store.UpdateWith(context.Background(), TxOptions{Durability: NoSync}, func(tx *Tx) error {
				tries++
				get("k")(t, tx, nil)
				return tx.Put(bs("updated"), nil)
			})
		}()
		time.Sleep(30 * time.Millisecond) // of the bubble: for many tries, if it did not wait
		synctest.Wait()
		if tries != 1 {
			t.Errorf("%d tries against a commit that is being synced", tries)
		}
		late := mustTx(t, store, TxOptions{Durability: NoSync})
		get("k")(t, late, nil)
		must(t, late.Put(bs("late"), nil))
		if err := late.Commit(); !errors.Is(err, ErrConflict) {
			t.Errorf("one that began before the publication: %v", err)
		}
		third := make(chan error, 1)
		go func() { third <- readers["m"].Commit() }()
		close(g.open)
		must(t, <-first, <-third, <-updated)
		if tries != 2 {
			t.Errorf("%d tries in all", tries)
		}
	})
}

// TestCommitsOnTheirWayWhenATransactionBeginsAreChecked: they are not in the
// log of recent commits, which is switched on by the transaction.
func TestCommitsOnTheirWayWhenATransactionBeginsAreChecked(t *testing.T) {
	for _, key := range []string{"k", "other"} {
		store := openMem(t, vfs.NewMem(), txOptions())
		must(t, store.Put(bs("k"), bs("0")))
		large := store.NewBatch()
		must(t, large.Put(bs(key), make([]byte, 2<<20)))
		var tx *Tx
		errs := heldUp(t, store,
			func() error { return store.Apply(large, Sync) }, // a group of its own
			func() error {
				tx = mustTx(t, store, TxOptions{})
				get("k")(t, tx, nil)
				return errors.Join(tx.Put(bs("mine"), nil), tx.Commit())
			})
		want := error(nil)
		if key == "k" {
			want = ErrConflict
		}
		if errs[0] != nil || !errors.Is(errs[1], want) {
			t.Errorf("%s: %v", key, errs)
		}
		closeDB(t, store)
	}
}

func TestALogThatDoesNotReachBackIsMadeUpForByCheckingAgain(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	store.w.recent.max = 200
	tx := mustTx(t, store, TxOptions{})
	get("k")(t, tx, nil)
	must(t, tx.Put(bs("mine"), nil))
	var commits []func() error
	for i := range 20 {
		commits = append(commits, func() error { return store.Put(fmt.Appendf(nil, "filler%d", i), nil) })
	}
	commits = append(commits, tx.Commit)
	if errs := heldUp(t, store, commits...); slices.ContainsFunc(errs, func(err error) bool { return err != nil }) {
		t.Error(errs)
	}
	if store.w.recent.floor == 0 {
		t.Error("the log reached back all the way: nothing was tested")
	}
}

// TestATransactionThatNeverCatchesUpIsTooOld: each time that it has checked the
// tree, more is committed before its turn than the log of recent commits holds.
func TestATransactionThatNeverCatchesUpIsTooOld(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	store.w.recent.max = 1
	tx := mustTx(t, store, TxOptions{})
	get("k")(t, tx, nil)
	must(t, tx.Put(bs("mine"), nil))

	queued := func(n int) {
		for store.pipeline.Queued() < n {
			time.Sleep(100 * time.Microsecond)
		}
	}
	var wg sync.WaitGroup
	hold := func() (chan struct{}, chan struct{}) {
		held, release := make(chan struct{}), make(chan struct{})
		wg.Go(func() {
			if err := store.pipeline.Exclusive(func() error { close(held); <-release; return nil }); err != nil {
				t.Error(err)
			}
		})
		return held, release
	}
	filler := func() {
		b := store.NewBatch()
		for i := range 5 {
			must(t, b.Put(fmt.Appendf(nil, "filler%d", i), nil))
		}
		wg.Go(func() {
			if err := store.Apply(b, NoSync); err != nil {
				t.Error(err)
			}
		})
	}
	held, release := hold()
	<-held
	filler()
	queued(1)
	done := make(chan error, 1)
	go func() { done <- tx.Commit() }()
	for range checkTriesMax - 1 {
		queued(2) // a filler and the transaction
		nextHeld, nextRelease := hold()
		queued(3)
		filler()
		queued(4)
		close(release)
		<-nextHeld
		release = nextRelease
	}
	queued(2)
	close(release)
	if err := <-done; !errors.Is(err, ErrTxTooOld) {
		t.Error(err)
	}
	wg.Wait()
	if _, err := store.Get(bs("mine")); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

// A cursor that fetches values ahead of its caller makes the transaction rely on
// no more than the caller has passed over.
func TestATransactionReliesOnNothingThatACursorFetchedAhead(t *testing.T) {
	for _, backward := range []bool{false, true} {
		for changed := range 30 {
			store := openMem(t, vfs.NewMem(), txOptions())
			key := func(i int) []byte { return fmt.Appendf(nil, "%03d", i) }
			for i := range 30 {
				must(t, store.Put(key(i), make([]byte, 2000)))
			}
			must(t, store.Flush(context.Background()))
			tx := mustTx(t, store, TxOptions{})
			cur, err := tx.NewCursor(All())
			must(t, err)
			for range 10 {
				if backward {
					cur.Prev()
				} else {
					cur.Next()
				}
				_, err := cur.Value()
				must(t, err)
			}
			if cur.ahead == nil {
				t.Fatal("it does not look ahead")
			}
			must(t, store.Put(key(changed), nil), tx.Put([]byte("x"), nil))
			err = tx.Commit()
			if passed := changed < 10 && !backward || changed >= 20 && backward; passed != errors.Is(err, ErrConflict) {
				t.Errorf("backward %v, %d was changed: %v", backward, changed, err)
			}
			closeDB(t, store)
		}
	}
}
