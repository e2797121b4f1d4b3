package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// next is the next batch of a feed, as text.
func nextBatch(t *testing.T, f *Feed) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), testkit.HangsAfter)
	defer cancel()
	b, err := f.Next(ctx)
	if err != nil {
		return err.Error()
	}
	var out []string
	for i := range b.Changes {
		c := &b.Changes[i]
		v, err := c.Value()
		must(t, err)
		if len(v) != c.ValueSize() {
			t.Errorf("value of %d bytes, announced %d", len(v), c.ValueSize())
		}
		s := fmt.Sprintf("%s %s/%s %.6s", c.Kind, c.Keyspace.Name(), c.Key, v)
		if c.Kind == ChangeDeleteRange {
			s = fmt.Sprintf("%s %s/%s..%s", c.Kind, c.Keyspace.Name(), c.Key, c.End)
		}
		if at, ok := c.ExpiresAt(); ok {
			s += fmt.Sprint(" until ", at.Unix())
		}
		out = append(out, strings.TrimSpace(s))
	}
	return strings.Join(out, "; ")
}

// untilFeedWaits returns once a feed waits for a change, in a call of Next that
// sends to done when it returns.
func untilFeedWaits(t *testing.T, done chan error) {
	t.Helper()
	testkit.Until(t, func() bool { return len(done) > 0 || testkit.Blocked("db.(*Feed).await(") },
		func() string { return "Next neither waits nor returns" })
}

func subscribe(t *testing.T, store *DB, o FeedOptions) *Feed {
	t.Helper()
	f, err := store.Subscribe(o)
	must(t, err)
	return f
}

func TestFeedDeliversCommitsWholeAndInOrder(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.Merge = Append()
	opts.Clock = func() time.Time { return time.Unix(1000, 0) }
	store := openMem(t, fs, opts)
	a := openSpace(t, store, "a", nil)
	must(t, store.Put([]byte("before"), nil))
	all := subscribe(t, store, FeedOptions{})
	onlyA := subscribe(t, store, FeedOptions{Keyspaces: []*Keyspace{a}})
	prefix := subscribe(t, store, FeedOptions{Range: Prefix([]byte("p"))})
	b := store.NewBatch()
	must(t, b.Put([]byte("k"), []byte("1")), b.In(a).PutTTL([]byte("k"), bytes.Repeat([]byte("v"), 3000), time.Minute), b.Delete([]byte("p1")))
	must(t, store.Apply(b, Sync))
	must(t, store.DeleteRange(Between([]byte("o"), []byte("pz"))), store.Merge([]byte("m"), []byte("x")), store.DeleteRange(All()))
	must(t, a.DeleteRange(From([]byte("q"))))
	for i, want := range []string{"put /k 1; delete /p1; put a/k vvvvvv until 1060", "delete-range /o..pz", "merge /m x", "delete-range /..", "delete-range a/q.."} {
		if i == 0 {
			want = "put /k 1; put a/k vvvvvv until 1060; delete /p1"
		}
		if got := nextBatch(t, all); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, want := range []string{"put a/k vvvvvv until 1060", "delete-range a/q.."} {
		if got := nextBatch(t, onlyA); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	for _, want := range []string{"delete /p1", "delete-range /p..pz", "delete-range /p..q"} {
		if got := nextBatch(t, prefix); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() {
		_, err := prefix.Next(ctx)
		stopped <- err
	}()
	untilFeedWaits(t, stopped)
	cancel()
	if err := <-stopped; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if prefix.Position() != uint64(store.visible.Load()) {
		t.Error("the position does not pass over what is not asked for")
	}
	must(t, all.Close(), all.Close(), onlyA.Close(), prefix.Close())
	if _, err := all.Next(context.Background()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	closeDB(t, store)
}

// drain applies what a feed has to a map until it has caught up with the store.
func drain(t *testing.T, f *Feed, into map[string]string) {
	t.Helper()
	for f.Position() < f.db.visible.Load() {
		ctx, cancel := context.WithTimeout(context.Background(), testkit.HangsAfter)
		b, err := f.Next(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Changes {
			c := &b.Changes[i]
			switch c.Kind {
			case ChangePut:
				v, err := c.Value()
				must(t, err)
				into[string(c.Key)] = string(v)
			case ChangeDelete:
				delete(into, string(c.Key))
			}
		}
	}
}

func contentsOf(t *testing.T, r Reader) map[string]string {
	t.Helper()
	m := make(map[string]string)
	for item, err := range r.Scan(All()) {
		must(t, err)
		v, err := item.Value()
		must(t, err)
		m[string(item.Key())] = string(v)
	}
	return m
}

// A consumer that stores its position sees every commit, whatever flushes,
// collections, restarts and crashes come between.
func TestFeedResumesAcrossRestarts(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.FeedBytes = 1 << 30
	have := make(map[string]string)
	var after uint64
	resume := false
	for round := range 12 {
		store := openMem(t, fs, opts)
		for i := range 300 {
			key := fmt.Appendf(nil, "%d", (i*7+round*13)%100)
			if i%5 == 0 {
				must(t, store.Delete(key))
			} else {
				must(t, store.Put(key, bytes.Repeat(key, (i%40)*30)))
			}
		}
		must(t, store.Compact(context.Background(), All()), store.CollectGarbage(context.Background(), 0))
		if round%3 != 1 { // else the consumer was away
			f := subscribe(t, store, FeedOptions{Resume: true, After: after})
			drain(t, f, have)
			after, resume = f.Position(), true
			if want := contentsOf(t, store); !maps.Equal(have, want) {
				t.Fatalf("round %d: the feed gives %d keys, the store has %d", round, len(have), len(want))
			}
			must(t, f.Close())
		}
		if round%4 == 2 {
			next := fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashKeep })
			closeDB(t, store)
			fs = next
			continue
		}
		closeDB(t, store)
	}
	if !resume {
		t.Fatal("nothing was fed")
	}
}

func TestFeedOfASnapshotAndWhatComesAfter(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	for i := range 100 {
		must(t, store.Put(fmt.Append(nil, i), []byte("old")))
	}
	snap, err := store.Snapshot()
	must(t, err)
	must(t, store.Put([]byte("new"), []byte("x")), store.Delete([]byte("7")))
	have := contentsOf(t, snap)
	f := subscribe(t, store, FeedOptions{Resume: true, After: snap.Seq()})
	drain(t, f, have)
	if want := contentsOf(t, store); !maps.Equal(have, want) {
		t.Errorf("%d keys, want %d", len(have), len(want))
	}
	must(t, f.Close(), snap.Close())
	if _, err := store.Subscribe(FeedOptions{Resume: true, After: store.visible.Load() + 1}); !errors.Is(err, ErrFeedAhead) {
		t.Error(err)
	}
	closeDB(t, store)
}

// A slow consumer holds nobody up, and is told when it has lost track.
func TestASlowFeedFallsBehindWithAnError(t *testing.T) {
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.FeedBytes = 256 << 10
	store := openMem(t, fs, opts)
	must(t, store.Put([]byte("first"), nil))
	first := store.visible.Load()
	slow := subscribe(t, store, FeedOptions{})
	store.retained.mu.Lock()
	h := store.retained.feeds[slow]
	delete(store.retained.feeds, slow) // else 64 MiB are kept
	store.retained.mu.Unlock()
	for i := range 3000 {
		must(t, store.Put(fmt.Append(nil, i%50), bytes.Repeat([]byte("v"), 100+i%2*2000)))
	}
	must(t, store.Flush(context.Background()), store.CollectGarbage(context.Background(), 0))
	if bytes := store.Metrics().ValueLog.Bytes; bytes > 2<<20 {
		t.Errorf("%d bytes of values are kept", bytes)
	}
	if _, err := slow.Next(context.Background()); !errors.Is(err, ErrFeedBehind) {
		t.Errorf("a feed far behind: %v", err)
	}
	if _, err := store.Subscribe(FeedOptions{Resume: true, After: first}); !errors.Is(err, ErrFeedBehind) {
		t.Errorf("resuming far behind: %v", err)
	}
	store.retained.mu.Lock()
	store.retained.feeds[slow] = h
	store.retained.mu.Unlock()
	must(t, slow.Close())
	closeDB(t, store)
}

// Values that a feed may still ask for are not collected while it is open, and
// are afterwards.
func TestFeedsKeepTheValuesOfWhatTheyHaveNotSeen(t *testing.T) {
	store := openMem(t, vfs.NewMem(), smallOptions())
	f := subscribe(t, store, FeedOptions{})
	for i := range 400 {
		must(t, store.Put(fmt.Append(nil, i%10), bytes.Repeat([]byte{byte(i)}, 2000)))
	}
	must(t, store.Compact(context.Background(), All()), store.CollectGarbage(context.Background(), 0))
	for i := range 400 {
		b, err := f.Next(context.Background())
		must(t, err)
		if v, err := b.Changes[0].Value(); err != nil || len(v) != 2000 || v[0] != byte(i) {
			t.Fatal(i, len(v), err)
		}
	}
	must(t, f.Close())
	testkit.Until(t, func() bool {
		must(t, store.CollectGarbage(context.Background(), 0))
		return store.Metrics().ValueLog.Bytes < 100<<10
	}, func() string { return fmt.Sprint(store.Metrics().ValueLog) })
	closeDB(t, store)
}

func TestFeedsBesideWriters(t *testing.T) {
	opts := smallOptions()
	store := openMem(t, vfs.NewMem(), opts)
	var writers, readers sync.WaitGroup
	const n, each = 3, 400
	for r := range 3 {
		f := subscribe(t, store, FeedOptions{Durable: r == 0})
		readers.Go(func() {
			seen := make([]int, n)
			for b, err := range f.All(context.Background()) {
				if err != nil {
					t.Error(err)
					return
				}
				if len(b.Changes) != 2 || !bytes.Equal(b.Changes[0].Key, b.Changes[1].Key[1:]) {
					t.Error("half a batch", len(b.Changes))
				}
				var w, i int
				if _, err := fmt.Sscanf(string(b.Changes[0].Key), "%d/%d", &w, &i); err != nil || i != seen[w] {
					t.Errorf("writer %d: %d comes after %d, %v", w, i, seen[w]-1, err)
				}
				if seen[w]++; seen[0]+seen[1]+seen[2] == n*each {
					break
				}
			}
			must(t, f.Close())
		})
	}
	for w := range n {
		writers.Go(func() {
			for i := range each {
				b := store.NewBatch()
				key := fmt.Appendf(nil, "%d/%d", w, i)
				must(t, b.Put(key, make([]byte, i%7*300)), b.Delete(append([]byte("x"), key...)))
				must(t, store.Apply(b, Durability(1+i%2)))
			}
		})
	}
	writers.Wait()
	readers.Wait()
	closeDB(t, store)
}

func TestCloseEndsFeedsAndReportsThem(t *testing.T) {
	opts := smallOptions()
	var leaks []string
	opts.Events = func(e Event) {
		if l, ok := e.(Leak); ok {
			leaks = append(leaks, l.What+" "+l.Where)
		}
	}
	store := openMem(t, vfs.NewMem(), opts)
	f := subscribe(t, store, FeedOptions{})
	done := make(chan error, 1)
	go func() {
		_, err := f.Next(context.Background())
		done <- err
	}()
	untilFeedWaits(t, done)
	closeDB(t, store)
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if len(leaks) != 1 || !strings.Contains(leaks[0], "feed ") || !strings.Contains(leaks[0], "feed_test.go") {
		t.Error(leaks)
	}
	if _, err := store.Subscribe(FeedOptions{}); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

// A commit that waits for its sync is not delivered, nor does anybody spin.
func TestFeedsSleepWhileThereIsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opts := smallOptions()
		store := openMem(t, vfs.NewMem(), opts)
		f := subscribe(t, store, FeedOptions{Durable: true})
		must(t, store.Put([]byte("k"), nil))
		start := time.Now()
		_, err := f.Next(context.Background())
		must(t, err)
		if took := time.Since(start); took == 0 || took > time.Second {
			t.Errorf("a commit became durable after %v", took)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := f.Next(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		must(t, f.Close())
		closeDB(t, store)
	})
}
