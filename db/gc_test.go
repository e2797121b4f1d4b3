package db

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestOverstatedGarbageIsCollectedOnce(t *testing.T) {
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
	deadline := time.Now().Add(10 * time.Second)
	for store.Metrics().Collections == 0 && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(100 * time.Millisecond)
	if m := store.Metrics(); m.Collections != 1 || m.ValueLog.Garbage != 0 {
		t.Errorf("%d collections, %d bytes of garbage on the books; want 1, 0", m.Collections, m.ValueLog.Garbage)
	}
	for i := range 100 {
		if got, err := store.Get(fmt.Appendf(nil, "%d", i)); err != nil || !bytes.Equal(got, value) {
			t.Fatalf("value %d: %d bytes, %v", i, len(got), err)
		}
	}
}
