package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// heldFeed is a change feed and which commits it has delivered.
type heldFeed struct {
	feed      *db.Feed
	rng       db.Range
	spaces    []*space // nil: all
	durable   bool
	position  uint64
	at        int    // index into run.commits of the next one to deliver
	kept      bool   // what it needs is surely there
	delivered uint64 // the newest commit that it gave
}

// orphaned reports whether all keyspaces of the feed have been dropped.
func (h *heldFeed) orphaned() bool {
	return h.spaces != nil && !slices.ContainsFunc(h.spaces, func(s *space) bool { return !s.dropped })
}

// wants is what the feed delivers of a write, if it does.
func (h *heldFeed) wants(w *write) (write, bool) {
	if w.in.dropped || h.spaces != nil && !slices.Contains(h.spaces, w.in) {
		return write{}, false
	}
	all := stretchOf(nil, h.rng)
	t := w.touched()
	t.in = nil
	both, ok := t.meets(all)
	if ok && w.op == 'r' {
		cut := *w
		cut.key, cut.end = []byte(both.lower), []byte(both.upper)
		if both.open {
			cut.end = nil
		}
		return cut, true
	}
	return *w, ok
}

func (r *run) openFeed() error {
	if len(r.feeds) >= 3 {
		return r.closeFeed(r.draw.IntN(len(r.feeds)))
	}
	h := &heldFeed{rng: r.drawRange(), durable: r.draw.One(4), at: len(r.commits), kept: true}
	if r.draw.One(2) {
		h.rng = db.All()
	}
	o := db.FeedOptions{Range: h.rng, Durable: h.durable}
	if r.draw.One(3) {
		for range 1 + r.draw.IntN(2) {
			s, err := r.space()
			if err != nil {
				return err
			}
			h.spaces = append(h.spaces, s)
			o.Keyspaces = append(o.Keyspaces, s.handle)
		}
	}
	if n := len(r.snapshots); n > 0 && r.draw.One(3) {
		s := r.snapshots[r.draw.IntN(n)]
		o.Resume, o.After, h.at = true, s.snap.Seq(), s.at
		h.kept = r.opts.FeedBytes == feedBytesEnough
	}
	r.note("subscribe from commit %d, %d keyspaces, durable %v, range %q", h.at, len(h.spaces), h.durable, h.rng.Lower())
	return r.subscribe(h, o)
}

func (r *run) subscribe(h *heldFeed, o db.FeedOptions) error {
	feed, err := r.store.Subscribe(o)
	if errors.Is(err, db.ErrFeedBehind) && !h.kept {
		r.note("  it is behind")
		return nil
	}
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	h.feed, h.position = feed, feed.Position()
	r.feeds = append(r.feeds, h)
	return nil
}

// resumeFeed goes on, after the store was opened again, where a feed ended.
func (r *run) resumeFeed(h *heldFeed) error {
	r.note("resume feed at commit %d", h.at)
	h.kept = r.opts.FeedBytes == feedBytesEnough
	h.at = min(h.at, len(r.commits)) // what it passed over may be gone
	o := db.FeedOptions{Range: h.rng, Durable: h.durable, Resume: true, After: h.position}
	for _, s := range h.spaces {
		if s.dropped {
			return nil
		}
		if s.id > 0 {
			if err := r.openSpace(s); err != nil {
				return err
			}
		}
		o.Keyspaces = append(o.Keyspaces, s.handle)
	}
	return r.subscribe(h, o)
}

// nextBatch reads a batch. It waits long only for one that must come.
func (r *run) nextBatch(h *heldFeed) (db.FeedBatch, error) {
	wait := time.Millisecond
	if r.due(h) >= 0 {
		wait = time.Minute
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if r.draw.One(4) {
		for batch, err := range h.feed.All(ctx) {
			return batch, err
		}
	}
	return h.feed.Next(ctx)
}

// due is the next commit that the feed must deliver now, or -1.
func (r *run) due(h *heldFeed) int {
	end := len(r.commits)
	if h.durable {
		end -= len(r.log) - 1 - r.synced
	}
	for at := h.at; at < end; at++ {
		if len(h.selects(&r.commits[at])) > 0 {
			return at
		}
	}
	return -1
}

// readFeed reads some commits from a feed, or all that there are.
func (r *run) readFeed() error {
	if len(r.feeds) == 0 {
		return r.openFeed()
	}
	at := r.draw.IntN(len(r.feeds))
	h := r.feeds[at]
	n := 1 + r.draw.IntN(20)
	if r.draw.One(4) {
		n = len(r.commits)
	}
	r.note("feed %d: up to %d commits from %d", at, n, h.at)
	for range n {
		batch, err := r.nextBatch(h)
		if errors.Is(err, context.DeadlineExceeded) {
			if err := r.feedEnd(h); err != nil || !h.durable || !r.draw.One(8) {
				return err
			}
			return r.imagine()
		}
		if errors.Is(err, db.ErrKeyspaceDropped) && h.orphaned() {
			r.note("  its keyspaces are dropped")
			return r.closeFeed(at)
		}
		if err == nil {
			err = r.sameBatch(h, batch)
		}
		if errors.Is(err, db.ErrFeedBehind) && !h.kept {
			r.note("  it fell behind")
			return r.closeFeed(at)
		}
		if err != nil {
			return fmt.Errorf("feed: %w", err)
		}
		h.position, h.delivered = batch.Seq, batch.Seq
		if h.feed.Position() != batch.Seq {
			return fmt.Errorf("feed: position %d after batch %d", h.feed.Position(), batch.Seq)
		}
	}
	if h.durable && r.draw.One(8) {
		return r.imagine()
	}
	return nil
}

// feedEnd checks that a feed that has no more now has delivered everything.
func (r *run) feedEnd(h *heldFeed) error {
	if at := r.due(h); at >= 0 {
		w := h.selects(&r.commits[at])[0]
		return fmt.Errorf("feed: commit %d was not delivered: %c %q of keyspace %d", at, w.op, w.key, w.in.id)
	}
	if !h.durable {
		h.at = len(r.commits)
	}
	h.position = h.feed.Position()
	return nil
}

// selects are the writes of a commit that the feed delivers.
func (h *heldFeed) selects(c *madeCommit) (want []write) {
	for i := range c.writes {
		if w, ok := h.wants(&c.writes[i]); ok {
			want = append(want, w)
		}
	}
	return want
}

// sameBatch compares a batch with the next commit that there is something for.
func (r *run) sameBatch(h *heldFeed, batch db.FeedBatch) error {
	if batch.Changes[0].Keyspace.Name() == privateName {
		return nil
	}
	for ; h.at < len(r.commits); h.at++ {
		c := &r.commits[h.at]
		want := h.selects(c)
		if len(want) == 0 {
			continue
		}
		h.at++
		if batch.Seq != c.seq {
			return fmt.Errorf("commit %d has the position %d, want %d", h.at-1, batch.Seq, c.seq)
		}
		if err := sameChanges(batch.Changes, want); err != nil {
			return fmt.Errorf("commit %d: %w", h.at-1, err)
		}
		return nil
	}
	return fmt.Errorf("%d changes that nobody made", len(batch.Changes))
}

func sameChanges(got []db.Change, want []write) error {
	if len(got) != len(want) {
		return fmt.Errorf("%d changes, want %d", len(got), len(want))
	}
	for i := range want {
		if err := sameChange(&got[i], &want[i]); err != nil {
			return fmt.Errorf("change %d, %c %q: %w", i, want[i].op, want[i].key, err)
		}
	}
	return nil
}

var changeKinds = map[byte]db.ChangeKind{'p': db.ChangePut, 't': db.ChangePut,
	'd': db.ChangeDelete, 'r': db.ChangeDeleteRange, 'm': db.ChangeMerge}

func sameChange(c *db.Change, w *write) error {
	if c.Kind != changeKinds[w.op] || c.Keyspace.Name() != w.in.name || !bytes.Equal(c.Key, w.key) {
		return fmt.Errorf("is %v %q of %q", c.Kind, c.Key, c.Keyspace.Name())
	}
	if w.op == 'r' {
		if (c.End == nil) != (w.end == nil) || !bytes.Equal(c.End, w.end) {
			return fmt.Errorf("ends at %q, want %q", c.End, w.end)
		}
		return nil
	}
	if w.op == 'd' {
		return nil
	}
	at, expires := c.ExpiresAt()
	if expires != (w.ttl > 0) || expires && !at.Equal(w.now.Add(w.ttl)) {
		return fmt.Errorf("expires %v at %v, want ttl %v from %v", expires, at, w.ttl, w.now)
	}
	value, err := c.Value()
	if err != nil {
		return err
	}
	if !bytes.Equal(value, w.value) || c.ValueSize() != len(w.value) {
		return fmt.Errorf("has %s, want %s", brief(value), brief(w.value))
	}
	return nil
}

func (r *run) closeFeed(i int) error {
	r.note("close feed")
	err := r.feeds[i].feed.Close()
	r.feeds = slices.Delete(r.feeds, i, i+1)
	return err
}
