package mvcc

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestReadsSeeTheNewestVersionThatIsNotTooNew(t *testing.T) {
	_, s := newSpace(t)
	commit(t, s, 10, "a=1", "b=1", "c=1")
	commit(t, s, 30, "a=3", "-c")
	commit(t, s, 20, "-a", "b=2", "d=") // late
	wants(t, readAt(t, s, 9, db.All()), "")
	wants(t, readAt(t, s, 10, db.All()), "a=1@10 b=1@10 c=1@10")
	wants(t, readAt(t, s, 29, db.All()), "b=2@20 c=1@10 d=@20")
	wants(t, readAt(t, s, TimestampMax, db.All()), "a=3@30 b=2@20 d=@20")
	wants(t, readAt(t, s, 30, db.Prefix([]byte("b")).Backward()), "b=2@20")
	wants(t, versions(t, s, "a"), "3@30 -@20 1@10")
	wants(t, versions(t, s, "x"), "")
	v := at(t, s, 25)
	defer v.Close()
	if _, ts, err := v.GetVersion([]byte("a")); !errors.Is(err, db.ErrNotFound) || ts != 20 {
		t.Errorf("a deleted key: %v, version %d", err, ts)
	}
	var seen []Timestamp
	for version, err := range v.Versions([]byte("a")) {
		must(t, err)
		seen = append(seen, version.Timestamp())
	}
	if fmt.Sprint(seen) != "[20 10]" {
		t.Error(seen)
	}
	for item, err := range v.Scan(db.All().KeysOnly()) {
		must(t, err)
		if _, err := item.Value(); !errors.Is(err, errKeysOnly) {
			t.Error(err)
		}
	}
	if got, err := v.Get([]byte("d")); err != nil || got == nil || len(got) != 0 {
		t.Errorf("an empty value: %q, %v", got, err)
	}
}

func TestTheLastWriteAtATimestampWins(t *testing.T) {
	_, s := newSpace(t)
	commit(t, s, 5, "a=1", "-a", "a=2")
	wants(t, versions(t, s, "a"), "2@5")
	commit(t, s, 5, "-a")
	wants(t, versions(t, s, "a"), "-@5")
}

func TestAViewSeesLateCommitsAndAViewOfASnapshotDoesNot(t *testing.T) {
	store, s := newSpace(t)
	commit(t, s, 5, "a=1")
	v := at(t, s, 9)
	snap, err := store.Snapshot()
	must(t, err)
	sv, err := s.AtSnapshot(snap, 9)
	must(t, err)
	commit(t, s, 7, "a=2")
	wants(t, read(t, v, db.All()), "a=2@7")
	wants(t, read(t, sv, db.All()), "a=1@5")
	must(t, s.SetDiscard(8))
	old, err := s.AtSnapshot(snap, 5)
	must(t, err) // nothing was discarded at the time of the snapshot
	wants(t, read(t, old, db.All()), "a=1@5")
	must(t, v.Close(), v.Close(), sv.Close(), old.Close(), snap.Close())
	if _, err := v.Get([]byte("a")); !errors.Is(err, db.ErrClosed) {
		t.Errorf("a closed view: %v", err)
	}
	if _, err := s.AtSnapshot(snap, 9); !errors.Is(err, db.ErrClosed) {
		t.Errorf("a closed snapshot: %v", err)
	}
}

func TestOpenGivesOneSpaceForAKeyspace(t *testing.T) {
	fs := vfs.NewMem()
	store := openStore(t, fs)
	_, err := Open(store, "v", &Options{MustExist: true})
	wantsErr(t, err, db.ErrNoKeyspace)
	s := openSpace(t, store)
	if again := openSpace(t, store); again != s {
		t.Error("two spaces of one keyspace")
	}
	commit(t, s, 5, "a=1")
	must(t, s.SetDiscard(3), store.Close())
	_, err = Open(store, "v", nil)
	wantsErr(t, err, db.ErrClosed)
	store = openStore(t, fs)
	again := openSpace(t, store)
	if again == s || again.Discard() != 3 {
		t.Errorf("reopened: %v, discard %d", again == s, again.Discard())
	}
	wants(t, readAt(t, again, 5, db.All()), "a=1@5")
	must(t, store.DropKeyspace("v"))
	wantsErr(t, batchOf(again, "a=1").Commit(9, db.NoSync), db.ErrKeyspaceDropped)
	fresh := openSpace(t, store)
	wants(t, readAt(t, fresh, 5, db.All()), "")
	must(t, store.Close())
	o := smallOptions(fs)
	o.ReadOnly = true
	ro, err := db.Open("/db", o)
	must(t, err)
	defer ro.Close()
	s = openSpace(t, ro)
	wants(t, readAt(t, s, 5, db.All()), "")
	wantsErr(t, batchOf(s, "a=1").Commit(9, db.NoSync), db.ErrReadOnly)
	wantsErr(t, s.SetDiscard(9), db.ErrReadOnly)
	_, err = Open(ro, "other", nil)
	wantsErr(t, err, db.ErrNoKeyspace)
}

func TestOpenForgetsSpacesOfClosedStores(t *testing.T) {
	var ours weak.Pointer[db.Keyspace]
	known := func() bool {
		spaces.mu.Lock()
		defer spaces.mu.Unlock()
		_, ok := spaces.byKey[ours]
		return ok
	}
	func() {
		store := openStore(t, vfs.NewMem())
		s := openSpace(t, store)
		if ours = weak.Make(s.ks); !known() {
			t.Error("an open space is not known")
		}
		must(t, store.Close())
	}()
	collected(t, func() bool { return !known() }, "the space is forgotten")
}

// collected runs the garbage collector until done, which is what says.
func collected(t *testing.T, done func() bool, what string) {
	t.Helper()
	testkit.Until(t, func() bool { runtime.GC(); return done() }, func() string { return what })
}

func TestAKeyspaceWithOtherDataIsRefusedAndLeftAlone(t *testing.T) {
	store := openStore(t, vfs.NewMem())
	defer store.Close()
	for i, c := range []struct {
		key, value string
		want       func(error) bool
	}{
		{"k", "v", func(err error) bool { return errors.Is(err, ErrNotVersioned) }},
		{"", "", func(err error) bool { return errors.Is(err, ErrNotVersioned) }},
		{"", "something else", func(err error) bool { return errors.Is(err, ErrNotVersioned) }},
		{"", "cwmv\x02", func(err error) bool { f, ok := errors.AsType[*db.FormatError](err); return ok && f.Found == 2 }},
		{"", "cwmv\x01\x00", func(err error) bool { _, ok := errors.AsType[*db.CorruptionError](err); return ok }},
		{"", "cwmv\x00\x01\x02\x03\x04\x05\x06\x07\x08", func(err error) bool { _, ok := errors.AsType[*db.CorruptionError](err); return ok }},
	} {
		name := fmt.Sprint(i)
		ks, err := store.Keyspace(name, &db.KeyspaceOptions{DefaultTTL: time.Hour})
		must(t, err, ks.Put([]byte(c.key), []byte(c.value)))
		if _, err := Open(store, name, nil); !c.want(err) {
			t.Errorf("%q=%q: %v", c.key, c.value, err)
		}
		must(t, ks.Put([]byte("k"), []byte("v")))
		expires := 0
		for item, err := range ks.Scan(db.All()) {
			must(t, err)
			if _, ok := item.ExpiresAt(); ok {
				expires++
			}
		}
		if expires == 0 {
			t.Errorf("%q=%q: the time to live is gone", c.key, c.value)
		}
	}
	// An empty one is taken, and its versions do not expire.
	_, err := store.Keyspace("empty", &db.KeyspaceOptions{DefaultTTL: time.Hour})
	must(t, err)
	s, err := Open(store, "empty", nil)
	must(t, err)
	commit(t, s, 1, "a=1")
	for item, err := range s.Keyspace().Scan(db.From([]byte{keyEnd})) {
		must(t, err)
		if _, ok := item.ExpiresAt(); ok {
			t.Errorf("%q expires", item.Key())
		}
	}
}

func TestViewsThatHoldBackAreListedAndLostOnesReported(t *testing.T) {
	store := openStore(t, vfs.NewMem())
	defer store.Close()
	lost := make(chan OpenView, 10)
	s, err := Open(store, "v", &Options{Leaked: func(v OpenView) { lost <- v }})
	must(t, err)
	commit(t, s, 5, "a=1")
	kept := at(t, s, 7)
	leakView(t, s)
	open := s.Views()
	if len(open) != 2 || open[0].Timestamp != 3 || open[1].Timestamp != 7 || !strings.Contains(open[0].Where, "leakView") {
		t.Errorf("open: %v", open)
	}
	must(t, s.SetDiscard(9))
	if got := s.effective(); got != 3 {
		t.Errorf("the effective discard timestamp is %d, a view is at 3", got)
	}
	collected(t, func() bool { return len(lost) > 0 }, "the view is reported")
	if v := <-lost; v.Timestamp != 3 || !strings.Contains(v.Where, "leakView") {
		t.Errorf("reported: %v", v)
	}
	if got := s.effective(); got != 7 {
		t.Errorf("the effective discard timestamp is %d, a view is at 7", got)
	}
	wants(t, read(t, kept, db.All()), "a=1@5")
	must(t, kept.Close())
	if got := s.effective(); got != 9 || len(s.Views()) != 0 {
		t.Errorf("the effective discard timestamp is %d, views: %v", got, s.Views())
	}
	runtime.GC()
	if len(lost) != 0 {
		t.Errorf("a view that was closed is reported: %v", <-lost)
	}
}

//go:noinline
func leakView(t *testing.T, s *Space) {
	v := at(t, s, 3)
	wants(t, read(t, v, db.All()), "")
}

func TestDamagedVersionsAreReported(t *testing.T) {
	_, s := newSpace(t)
	commit(t, s, 5, "a=1", "c=3")
	unknown := storedKey([]byte("b"), 5)
	must(t, s.ks.Put(unknown, []byte{9, 'x'}))
	v := at(t, s, 9)
	defer v.Close()
	corrupt := func(err error) {
		t.Helper()
		if _, ok := errors.AsType[*db.CorruptionError](err); !ok {
			t.Errorf("got %v", err)
		}
	}
	_, err := v.Get([]byte("b"))
	corrupt(err)
	_, err = v.MultiGet([]byte("b"))
	corrupt(err)
	must(t, s.ks.Delete(unknown), s.ks.Put([]byte("b\x00short"), nil))
	for _, r := range []db.Range{db.All(), db.All().Backward()} {
		var last error
		n := 0
		for _, err := range v.Scan(r) {
			last = err
			n++
		}
		corrupt(last)
		if n != 2 {
			t.Errorf("%d items, want one and an error", n)
		}
	}
}
