package db

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestOverstatedGarbageIsCollectedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openMem(t, vfs.NewMem(), Options{ValueThreshold: 100})
		defer closeDB(t, store)
		value := bytes.Repeat([]byte{1}, 1000)
		for i := range 100 {
			must(t, store.Put(fmt.Appendf(nil, "%d", i), value))
		}
		must(t, store.Flush(context.Background()))
		must(t, store.CollectGarbage(context.Background(), 1)) // seals the file
		version := store.set.Current()
		edit := &manifest.Edit{Discards: map[base.FileNum]uint64{}}
		for _, m := range version.Vlogs {
			edit.Discards[m.Logical] = m.Bytes / 2
		}
		version.Unref()
		must(t, store.apply(edit, nil, nil))
		time.Sleep(time.Minute) // of the bubble, in which all comes to rest
		synctest.Wait()
		if m := store.Metrics(); m.Collections != 1 || m.ValueLog.Garbage != 0 {
			t.Errorf("%d collections, %d bytes of garbage on the books; want 1, 0", m.Collections, m.ValueLog.Garbage)
		}
		for i := range 100 {
			if got, err := store.Get(fmt.Appendf(nil, "%d", i)); err != nil || !bytes.Equal(got, value) {
				t.Fatalf("value %d: %d bytes, %v", i, len(got), err)
			}
		}
	})
}

// Between an edit that counts garbage and the list that names it, a collection
// would copy what is dead and clear the account: the space would be lost for good.
func TestACollectionWaitsForTheListOfWhatIsDead(t *testing.T) {
	store := openMem(t, vfs.NewMem(), Options{ValueThreshold: 100, SpaceAmpMax: 1000})
	defer closeDB(t, store)
	for i := range 100 {
		must(t, store.Put(fmt.Appendf(nil, "%d", i), bytes.Repeat([]byte{1}, 1000)))
	}
	must(t, store.Flush(context.Background()), store.CollectGarbage(context.Background(), 1)) // seals the file
	s, _ := store.acquire()
	file := s.version.Vlogs[0].Logical
	edit := &manifest.Edit{Discards: map[base.FileNum]uint64{}}
	var dropped []base.Pointer
	r := reader{db: store, ks: store.main, s: s, v: s.view(0), seq: base.SeqNumMax}
	it, err := r.newInternalIterator(&sourceOptions{})
	must(t, err)
	for ok := it.First(); ok; ok = it.Next() {
		if ptr, ok, err := pointerOf(it.Key(), it.Value()); ok && ptr.File == file && len(dropped) < 60 {
			dropped = append(dropped, ptr)
			edit.Discards[file] += uint64(ptr.Size)
		} else {
			must(t, err)
		}
	}
	must(t, it.Close())
	store.release(s)
	collected := make(chan error, 1)
	must(t, store.applyWith(edit, nil, nil, func() {
		go func() { collected <- store.CollectGarbage(context.Background(), 0) }()
		testkit.Until(t, func() bool {
			return len(collected) > 0 || testkit.Blocked("db.(*DB).CollectGarbage(", "db.(*DB).awaitInstalls(") ||
				testkit.Blocked("db.(*DB).CollectGarbage(", "db.(*DB).applyWith(") // too late
		}, func() string { return "the collection neither waits nor ends" })
		store.dead.add(dropped)
	}))
	must(t, <-collected)
	testkit.Until(t, func() bool { return store.Metrics().Collections > 0 }, func() string { return "no collection" })
	if m := store.Metrics(); m.ValueLog.Bytes > 45*1100 || m.ValueLog.Garbage != 0 {
		t.Errorf("%d bytes are left, %d of them on the books as garbage", m.ValueLog.Bytes, m.ValueLog.Garbage)
	}
}
