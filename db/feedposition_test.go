package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
	"github.com/cordwood-db/cordwood/wal"
)

// killed is the directory of a store as its sudden death leaves it.
func killed(t *testing.T, fs *vfs.Mem, store *DB) *vfs.Mem {
	t.Helper()
	next := fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashKeep })
	closeDB(t, store)
	return next
}

// A position that was taken after a crash, and before anything was written,
// is as good as any other.
func TestFeedPositionsSurviveAnOpeningWithoutWrites(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.FeedBytes = 1 << 30
	store := openMem(t, fs, opts)
	for i := range 100 {
		must(t, store.Put(fmt.Append(nil, i), []byte("1")))
	}
	fs = killed(t, fs, store)

	store = openMem(t, fs, opts)
	f := subscribe(t, store, FeedOptions{})
	snap, err := store.Snapshot()
	must(t, err)
	after, have := f.Position(), contentsOf(t, snap)
	if snap.Seq() != after {
		t.Errorf("snapshot at %d, feed at %d", snap.Seq(), after)
	}
	must(t, f.Close(), snap.Close())
	closeDB(t, store)

	store = openMem(t, fs, opts)
	f, err = store.Subscribe(FeedOptions{Resume: true, After: after})
	if err != nil {
		t.Errorf("resuming after an opening without writes: %v", err)
	} else {
		must(t, f.Close())
	}
	for i := range 50 {
		must(t, store.Put(fmt.Append(nil, "x", i), []byte("2")))
	}
	fs = killed(t, fs, store)

	store = openMem(t, fs, opts)
	f = subscribe(t, store, FeedOptions{Resume: true, After: after})
	drain(t, f, have)
	if want := contentsOf(t, store); !maps.Equal(have, want) {
		t.Errorf("the feed gives %d keys, the store has %d", len(have), len(want))
	}
	must(t, f.Close())
	closeDB(t, store)
}

// The log of a checkpoint begins where the checkpoint was taken, not with the
// store's first commit.
func TestFeedsOfACheckpointSayWhatItsLogLacks(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	store := openMem(t, fs, opts)
	must(t, store.Put([]byte("a"), nil))
	early := store.visible.Load()
	must(t, store.Put([]byte("b"), nil))
	must(t, store.Checkpoint(context.Background(), "copy"))
	last := store.visible.Load()
	closeDB(t, store)

	opts.FS = fs
	store, err := Open("copy", &opts)
	must(t, err)
	resume := func(after uint64) (*Feed, error) {
		return store.Subscribe(FeedOptions{Resume: true, After: after})
	}
	for range 2 {
		for _, after := range []uint64{0, early} {
			if f, err := resume(after); !errors.Is(err, ErrFeedBehind) {
				t.Errorf("after %d: %v", after, err)
				if err == nil {
					must(t, f.Close())
				}
			}
		}
		f, err := resume(last)
		must(t, err)
		must(t, f.Close())
		must(t, store.Put([]byte("c"), nil))
	}
	f, err := resume(last)
	must(t, err)
	if got := nextBatch(t, f); got != "put /c" {
		t.Error(got)
	}
	must(t, f.Close())
	closeDB(t, store)
}

// A feed that looks for few of many commits can be stopped meanwhile.
func TestFeedsStopWhileTheyPassOverCommits(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	f := subscribe(t, store, FeedOptions{Range: Prefix([]byte("none"))})
	for range 100 {
		must(t, store.Put([]byte("k"), nil))
	}
	start := f.Position()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.Next(ctx); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if f.Position() != start {
		t.Errorf("it went on to %d", f.Position())
	}
	must(t, f.Close())
	closeDB(t, store)
}

// A feed whose keyspaces are all gone has nothing to wait for.
func TestFeedsOfDroppedKeyspacesEnd(t *testing.T) {
	opts := smallOptions()
	opts.SyncInterval = -1 // nothing else wakes it
	store := openMem(t, vfs.NewMem(), opts)
	a := openSpace(t, store, "a", nil)
	f := subscribe(t, store, FeedOptions{Keyspaces: []*Keyspace{a}})
	done := make(chan error, 1)
	go func() {
		_, err := f.Next(context.Background())
		done <- err
	}()
	untilFeedWaits(t, done)
	must(t, store.DropKeyspace("a"))
	select {
	case err := <-done:
		if !errors.Is(err, ErrKeyspaceDropped) {
			t.Error(err)
		}
	case <-time.After(testkit.HangsAfter):
		t.Error("it waits")
	}
	must(t, f.Close())
	again := openSpace(t, store, "a", nil)
	if f, err := store.Subscribe(FeedOptions{Keyspaces: []*Keyspace{again, a}}); !errors.Is(err, ErrKeyspaceDropped) {
		t.Error(err)
		must(t, f.Close())
	}
	if _, err := store.Subscribe(FeedOptions{Keyspaces: []*Keyspace{nil}}); !errors.Is(err, errForeignKeyspace) {
		t.Error(err)
	}
	closeDB(t, store)
}

// valueFileBytes is what the value log takes on disk.
func valueFileBytes(t *testing.T, fs *vfs.Mem) (n int64) {
	t.Helper()
	files, err := fs.List("/db")
	must(t, err)
	for _, f := range files {
		if strings.HasSuffix(f.Name, ".vlog") {
			n += f.Size
		}
	}
	return n
}

// What a feed may still ask for holds back the files that the retained log
// points into, not all that were written before the store was opened.
func TestRetentionDoesNotKeepTheGarbageOfEarlierOpenings(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.FeedBytes = 256 << 10
	store := openMem(t, fs, opts)
	value := bytes.Repeat([]byte("v"), 4000)
	for i := range 400 {
		must(t, store.Put(fmt.Append(nil, i), value))
		if i%20 == 19 {
			must(t, store.Flush(context.Background()))
		}
	}
	after := store.visible.Load() - 4
	closeDB(t, store)
	store = openMem(t, fs, opts)
	must(t, store.DeleteRange(All()))
	must(t, store.Compact(context.Background(), All()))
	testkit.Until(t, func() bool {
		must(t, store.CollectGarbage(context.Background(), 0))
		return valueFileBytes(t, fs) < 500<<10
	}, func() string { return fmt.Sprint(valueFileBytes(t, fs)) })
	f := subscribe(t, store, FeedOptions{Resume: true, After: after})
	for range 4 {
		b, err := f.Next(context.Background())
		must(t, err)
		if v, err := b.Changes[0].Value(); err != nil || !bytes.Equal(v, value) {
			t.Error(len(v), err)
		}
	}
	must(t, f.Close())
	closeDB(t, store)
}

// A retained segment that cannot be read is let go, with what is older; what is
// newer stays.
func TestADamagedRetainedSegmentIsLetGo(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.FeedBytes = 1 << 30
	store := openMem(t, fs, opts)
	var ends []uint64
	for i := range 8 {
		must(t, store.Put(fmt.Append(nil, i), []byte("v")), store.Flush(context.Background()))
		ends = append(ends, store.visible.Load())
	}
	closeDB(t, store)
	sizes, err := wal.Sizes(fs, "/db")
	must(t, err)
	file, err := fs.OpenReadWrite("/db/" + base.FileName(base.FileWAL, uint64(sizes[3].Num)))
	must(t, err)
	size, err := file.Size()
	must(t, err)
	for off := int64(record.HeaderLen); off < size; off++ {
		_, err := file.WriteAt([]byte{0xee}, off)
		must(t, err)
	}
	must(t, file.Close())

	store = openMem(t, fs, opts)
	must(t, store.Put([]byte("new"), nil), store.Flush(context.Background()))
	oldest := func() base.SegmentNum { // they are removed after the flush
		left, err := wal.Sizes(fs, "/db")
		must(t, err)
		return left[0].Num
	}
	testkit.Until(t, func() bool { return oldest() == sizes[4].Num }, func() string { return fmt.Sprint(oldest()) })
	if _, err := store.Subscribe(FeedOptions{Resume: true, After: ends[1]}); !errors.Is(err, ErrFeedBehind) {
		t.Error(err)
	}
	f := subscribe(t, store, FeedOptions{Resume: true, After: ends[4]})
	if got := nextBatch(t, f); got != "put /5 v" {
		t.Error(got)
	}
	must(t, f.Close())
	closeDB(t, store)
}
