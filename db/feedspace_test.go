package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// logFiles is how many segments of the log there are.
func logFiles(t *testing.T, fs *vfs.Mem) (n int) {
	t.Helper()
	files, err := fs.List("/db")
	must(t, err)
	for _, f := range files {
		if filepath.Ext(f.Name) == ".wal" {
			n++
		}
	}
	return n
}

// fillForFeed commits until the disk is full of log that is kept for a feed, and
// returns what was committed.
func fillForFeed(t *testing.T, fs *vfs.Mem, store *DB) (done []string) {
	t.Helper()
	put := func() error {
		value := fmt.Appendf(nil, "%d %s", len(done), bytes.Repeat(bs("v"), 900))
		err := store.Put(bs("k"), value)
		if err == nil {
			done = append(done, string(value))
		}
		return err
	}
	for range 8 {
		for range 12 {
			must(t, put())
		}
		must(t, store.Flush(context.Background()))
	}
	if n := logFiles(t, fs); n < 8 {
		t.Fatalf("%d segments are kept", n)
	}
	fs.SetCapacity(fs.Used() + 6<<10)
	var err error
	for err == nil {
		err = put()
	}
	if !errors.Is(err, ErrDiskFull) {
		t.Fatalf("on a full disk: %v", err)
	}
	return done
}

// fed takes what a feed has to deliver.
func fed(t *testing.T, f *Feed, want []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), testkit.HangsAfter)
	defer cancel()
	for i, w := range want {
		b, err := f.Next(ctx)
		must(t, err)
		v, err := b.Changes[0].Value()
		if err != nil || len(b.Changes) != 1 || string(v) != w {
			t.Fatalf("commit %d: %.20q, %v, want %.20q", i, v, err, w)
		}
	}
	if b, ok, err := f.next(ctx); ok || err != nil {
		t.Fatalf("there is more: %v, %v", b, err)
	}
}

// writableAgain waits until a store takes writes.
func writableAgain(t *testing.T, store *DB, key string) {
	t.Helper()
	var err error
	testkit.Until(t, func() bool {
		err = store.Put(bs(key), bs("again"))
		return err == nil
	}, func() string { return fmt.Sprint("no write succeeds: ", err) })
}

func feedSpaceOptions() Options {
	return Options{SyncInterval: -1, ValueThreshold: -1, MemtableBytes: 64 << 10, MemoryMax: 1 << 20}
}

func TestAFeedOnAFullDiskDeliversWhatWasCommitted(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, feedSpaceOptions())
	defer closeDB(t, store)
	feed := subscribe(t, store, FeedOptions{})
	done := fillForFeed(t, fs, store)
	fed(t, feed, done)
	fs.SetCapacity(-1)
	writableAgain(t, store, "more")
	fed(t, feed, []string{"again"})
	must(t, feed.Close())
}

func TestTheEndOfAFeedGivesBackWhatWasKeptForIt(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, feedSpaceOptions())
	defer closeDB(t, store)
	feed, other := subscribe(t, store, FeedOptions{}), subscribe(t, store, FeedOptions{})
	done := fillForFeed(t, fs, store)
	must(t, feed.Close())
	if n := logFiles(t, fs); n < 8 {
		t.Errorf("%d segments are kept for the other feed", n)
	}
	fed(t, other, done)
	must(t, other.Close())
	testkit.Until(t, func() bool { return logFiles(t, fs) <= 3 },
		func() string { return fmt.Sprintf("%d segments are left", logFiles(t, fs)) })
	writableAgain(t, store, "more") // without a byte more of room
	must(t, store.Put(bs("large"), make([]byte, 20<<10)))
	wantValue(t, store, bs("k"), bs(done[len(done)-1]))
}
