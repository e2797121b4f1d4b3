package db

import (
	"context"
	"errors"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// FuzzFeedPosition resumes feeds anywhere: all that comes is newer, and all of
// it comes; or the feed is refused.
func FuzzFeedPosition(f *testing.F) {
	opts := fuzzOptions(vfs.NewMem())
	opts.FeedBytes = 1 << 20
	store, err := Open("/db", opts)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close() })
	const commits = 20
	for i := range commits {
		if i == commits/2 {
			err = store.Flush(context.Background())
		}
		if err = errors.Join(err, store.Put(pageKey(i), bs("v"))); err != nil {
			f.Fatal(err)
		}
	}
	for _, after := range []uint64{0, 1, commits - 1, commits, commits + 1, 1 << 56, 1<<64 - 1} {
		f.Add(after, after&1 == 0)
	}
	f.Fuzz(func(t *testing.T, after uint64, durable bool) {
		storeBound.Run(t, 8, func() {
			feed, err := store.Subscribe(FeedOptions{Resume: true, After: after, Durable: durable})
			if err != nil {
				if after <= commits || !errors.Is(err, ErrFeedAhead) {
					t.Fatalf("after %d: %v", after, err)
				}
				return
			}
			defer feed.Close()
			if durable {
				must(t, store.Sync())
			}
			for want := after + 1; want <= commits; want++ {
				batch, err := feed.Next(context.Background())
				must(t, err)
				if batch.Seq != want || len(batch.Changes) != 1 || string(batch.Changes[0].Key) != string(pageKey(int(want)-1)) {
					t.Fatalf("after %d: %+v, want commit %d", after, batch, want)
				}
			}
		})
	})
}
