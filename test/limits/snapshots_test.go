package limits

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// smallOptions let flushes, compactions and collections happen all the time.
func smallOptions(fs vfs.FS) *db.Options {
	return &db.Options{FS: fs, MemoryMax: 8 << 20, MemtableBytes: 64 << 10, TableBytes: 64 << 10, BlockBytes: 1 << 10,
		ValueThreshold: 300, Merge: db.Append()}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func open(t *testing.T, dir string, o *db.Options) *db.DB {
	t.Helper()
	store, err := db.Open(dir, o)
	must(t, err)
	return store
}

// written is a key from some operation on: a value, or none.
type written struct {
	op    int
	there bool
}

// history is what was done to each of some keys.
type history [200][]written

func historyKey(k int) []byte { return fmt.Appendf(nil, "key/%04d", k) }

// historyValue is what operation op writes.
func historyValue(k, op int) []byte {
	v := fmt.Appendf(nil, "%d/%d:", k, op)
	return append(v, make([]byte, op%7*100)...)
}

// at is the value of key k after operation op, nil if there is none.
func (h *history) at(k, op int) []byte {
	list := h[k]
	i := sort.Search(len(list), func(i int) bool { return list[i].op > op }) - 1
	if i < 0 || !list[i].there {
		return nil
	}
	return historyValue(k, list[i].op)
}

// step carries out operation op.
func (h *history) step(store *db.DB, r *rand.Rand, op int) error {
	k := r.IntN(len(h))
	switch r.IntN(20) {
	case 0, 1:
		h[k] = append(h[k], written{op: op})
		return store.Delete(historyKey(k))
	case 2:
		end := min(k+r.IntN(20), len(h))
		for i := k; i < end; i++ {
			h[i] = append(h[i], written{op: op})
		}
		return store.DeleteRange(db.Between(historyKey(k), historyKey(end)))
	}
	h[k] = append(h[k], written{op, true})
	return store.Put(historyKey(k), historyValue(k, op))
}

// check compares a key with what it was after operation op.
func (h *history) check(from db.Reader, k, op int) error {
	got, err := from.Get(historyKey(k))
	want := h.at(k, op)
	if want == nil && errors.Is(err, db.ErrNotFound) {
		return nil
	}
	if err != nil || string(got) != string(want) {
		return fmt.Errorf("key %d after operation %d: %.20q, want %.20q, %w", k, op, got, want, err)
	}
	return nil
}

// checkAll compares all keys by a scan.
func (h *history) checkAll(from db.Reader, op int) error {
	seen := 0
	for item, err := range from.Scan(db.All()) {
		if err != nil {
			return err
		}
		var k int
		v, err := item.Value()
		if _, e := fmt.Sscanf(string(item.Key()), "key/%d", &k); e != nil || err != nil || string(v) != string(h.at(k, op)) {
			return fmt.Errorf("key %q after operation %d: %.20q, %w", item.Key(), op, v, errors.Join(e, err))
		}
		seen++
	}
	for k := range h {
		if h.at(k, op) != nil {
			seen--
		}
	}
	if seen != 0 {
		return fmt.Errorf("%d keys too many after operation %d", seen, op)
	}
	return nil
}

// taken is a snapshot that was opened after operation op.
type taken struct {
	*db.Snapshot
	op int
}

// Thousands of snapshots, opened all along a history of overwrites, deletes and
// range deletes, show the store as it was, whatever flushes, compactions and
// collections do; closing them gives the space back.
func TestThousandsOfSnapshotsStayAsTheyWere(t *testing.T) {
	budget := testkit.Amount{Short: 300, Normal: 1_500, CI: 5_000, Full: 20_000}.Budget(t)
	seed := testkit.Seed(t)
	for round := 0; round == 0 || budget.Timed() && budget.More(round); round++ {
		snapshotsStay(t, seed+uint64(round), min(budget.Want(), 20_000))
	}
}

func snapshotsStay(t *testing.T, seed uint64, count int) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 0))
	ctx := context.Background()
	fs := vfs.NewMem()
	store := open(t, "/db", smallOptions(fs))
	var h history
	var snapshots []taken
	op := 0
	for ; len(snapshots) < count; op++ {
		must(t, h.step(store, r, op))
		if r.IntN(3) == 0 {
			s, err := store.Snapshot()
			must(t, err)
			snapshots = append(snapshots, taken{s, op})
		}
		switch r.IntN(3 * count / 10) {
		case 0:
			must(t, store.Flush(ctx))
		case 1:
			must(t, store.Compact(ctx, db.All()))
		case 2:
			must(t, store.CollectGarbage(ctx, 0))
		}
	}
	last := op - 1
	must(t, store.Compact(ctx, db.All()), store.CollectGarbage(ctx, 0))
	full := bytesIn(t, fs)
	r.Shuffle(len(snapshots), func(i, j int) { snapshots[i], snapshots[j] = snapshots[j], snapshots[i] })
	for i, s := range snapshots {
		for range 10 {
			must(t, h.check(s, r.IntN(len(h)), s.op))
		}
		if i%100 == 0 {
			must(t, h.checkAll(s, s.op))
		}
		if i%(count/5+1) == 1 { // those that are left are not hurt by what goes
			must(t, store.Compact(ctx, db.All()), store.CollectGarbage(ctx, 0))
		}
		must(t, s.Close())
	}
	must(t, store.Compact(ctx, db.All()), store.CollectGarbage(ctx, 0), h.checkAll(store, last), store.Close())
	store = open(t, "/db", smallOptions(fs)) // what was obsolete is gone now
	must(t, h.checkAll(store, last), store.Close())
	if left := bytesIn(t, fs); left > full/2 {
		t.Errorf("%d bytes of %d are left without snapshots", left, full)
	}
	t.Logf("%d operations, %d snapshots, %d bytes with them, %d without", op, count, full, bytesIn(t, fs))
	if t.Failed() {
		t.Logf("%s=%d", testkit.SeedEnv, seed)
	}
}

func bytesIn(t *testing.T, fs vfs.FS) (n int64) {
	t.Helper()
	files, err := fs.List("/db")
	must(t, err)
	for _, f := range files {
		n += f.Size
	}
	return n
}
