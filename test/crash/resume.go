package crash

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// commit is a commit of several writers whose place in the order is known.
type commit struct {
	seq  uint64 // that a feed has delivered it with
	deed *deed
}

// feedWait is how long a feed may take to deliver what is there, on a machine
// that is busy.
const feedWait = 2 * time.Minute

// endWait is how long it is waited for where there may be nothing more, unless the
// feed says that it has come to the end.
const endWait = 50 * time.Millisecond

// resume opens a feed behind one of the commits that a recovered store holds, of
// which there are n in these keyspaces, and compares what it delivers: all later
// ones, each once, whole, in order and with its values, and no other; or that it
// fell behind, which it must not if everything is kept for feeds. It does nothing
// if the history is not that of a crew.
func (h *History) resume(r *rand.Rand, store *db.DB, n int, spaces Spaces, now int64) error {
	if len(h.commits) < n || len(h.commits) == 0 {
		return nil
	}
	k := n - min(n, r.IntN(1+r.IntN(n+1)))
	after := h.position(k)
	err := h.deliver(store, k, n, after, spaces, now)
	if err == nil || errors.Is(err, db.ErrFeedBehind) && h.feedBytes < keepsAll {
		return nil
	}
	return fmt.Errorf("feed resumed after commit %d of %d, at %d: %w", k, n, after, err)
}

// keepsAll is more than any history writes.
const keepsAll = 1 << 30

// deliver compares what a feed delivers behind k commits with those up to n. Where
// commits change nothing that can be seen, the last of the n need not be there.
func (h *History) deliver(store *db.DB, k, n int, after uint64, spaces Spaces, now int64) error {
	dropped := make(map[int]bool)
	for life := range h.numbers + 1 {
		dropped[life] = life > 0
	}
	for _, life := range spaces {
		delete(dropped, life)
	}
	want := h.State(n).Items(spaces, now)
	may := func(i int) bool { return Same(h.State(i).Items(spaces, now), want) == nil }
	feed, err := store.Subscribe(db.FeedOptions{Resume: true, After: after})
	if errors.Is(err, db.ErrFeedAhead) && may(k) {
		return nil
	}
	if err != nil {
		return err
	}
	defer feed.Close()
	snap, err := store.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	for i := k; ; i++ {
		wait := feedWait
		if may(i) {
			wait = endWait // it may be the end
		}
		got, err := nextOf(feed, snap.Seq(), wait)
		switch {
		case errors.Is(err, context.DeadlineExceeded) && may(i):
			return nil
		case err != nil:
			return fmt.Errorf("commit %d: %w", i, err)
		case i == n:
			return fmt.Errorf("delivers %d, which the store does not hold", got.seq)
		case got.seq != h.commits[i].seq || !got.isOf(h.commits[i].deed, dropped):
			return fmt.Errorf("delivers %d with %d changes, want commit %d, which is %d: %s",
				got.seq, len(got.changes), i, h.commits[i].seq, describe(h.commits[i].deed.writes))
		}
	}
}

// nextOf is the next commit that a feed delivers. It waits for it in ever longer
// turns, the last one of which is wait, or until the feed has come to the end: then
// one turn more shows that it delivers nothing.
func nextOf(feed *db.Feed, end uint64, wait time.Duration) (*heard, error) {
	for turn := time.Millisecond; ; turn = min(4*turn, wait) {
		last := turn == wait || feed.Position() >= end
		ctx, cancel := context.WithTimeout(context.Background(), turn)
		batch, err := feed.Next(ctx)
		cancel()
		if err == nil {
			return newHeard(batch)
		}
		if last || !errors.Is(err, context.DeadlineExceeded) {
			return nil, err
		}
	}
}
