package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/test/crash"
)

// ended reports whether the round is over.
func ended(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// read looks at the keys of any writer, through cursors and snapshots that it
// holds open while the others work.
func (c *crew) read(r *rand.Rand, done <-chan struct{}) {
	for c.ok() && !ended(done) {
		w := c.writers[r.IntN(len(c.writers))]
		least := w.last()
		if r.IntN(2) == 0 {
			c.report(c.readCursor(w, least, c.store))
		} else {
			snap, err := c.store.Snapshot()
			if err != nil {
				c.report(fmt.Errorf("snapshot: %w", err))
				return
			}
			for range 2 {
				c.report(c.readCursor(w, least, snap))
			}
			c.report(snap.Close())
		}
		time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
	}
}

// readCursor walks a cursor over a writer's keys, with a pause in the middle.
func (c *crew) readCursor(w *writer, least int, from db.Reader) error {
	cursor, err := from.NewCursor(db.Prefix([]byte(w.name())))
	if err != nil {
		return c.judgeRead(err)
	}
	defer func() { c.report(cursor.Close()) }()
	var items []crash.Item
	for ok := cursor.First(); ok; ok = cursor.Next() {
		value, err := cursor.Value()
		if err != nil {
			return c.judgeRead(err)
		}
		items = append(items, crash.Item{Key: string(cursor.Key()), Value: slices.Clone(value)})
		if len(items) == 4 {
			time.Sleep(time.Millisecond)
		}
	}
	if err := cursor.Err(); err != nil {
		return c.judgeRead(err)
	}
	number := 0
	if len(items) > 0 && items[0].Key == w.marker() {
		if number, err = strconv.Atoi(string(items[0].Value)); err != nil {
			return err
		}
	}
	seen := w.commitNumbered(number)
	switch {
	case seen == nil:
		return fmt.Errorf("a reader sees commit %d of writer %d, which failed or never was", number, w.id)
	case number < least:
		return fmt.Errorf("a reader sees commit %d of writer %d after %d was acknowledged", number, w.id, least)
	}
	if err := crash.Same(items, seen.state.items(0)); err != nil {
		return fmt.Errorf("a reader of writer %d at commit %d: %w", w.id, number, err)
	}
	return nil
}

// keep does what keeps a store in order.
func (c *crew) keep(r *rand.Rand, done <-chan struct{}) {
	for c.ok() && !ended(done) {
		began := c.tick()
		what, err, durable := "", error(nil), false
		switch n := r.IntN(12); {
		case n < 3:
			what, err, durable = "flush", c.store.Flush(background), true
		case n < 5:
			what, err, durable = "sync", c.store.Sync(), true
		case n < 7:
			what, err = "compact", c.store.Compact(background, db.All())
		case n < 10:
			what, err = "collect", c.store.CollectGarbage(background, r.Float64()/4)
		case n < 11 && len(c.points) < 2:
			what, err = "checkpoint", c.checkpoint()
		default:
			time.Sleep(time.Duration(r.IntN(10)) * time.Millisecond)
			continue
		}
		c.note("%s: %v", what, err)
		if err == nil && durable {
			c.settled(began)
		}
		c.report(c.judge(err, true))
		time.Sleep(time.Duration(r.IntN(1000)) * time.Microsecond)
	}
}

func (c *crew) checkpoint() error {
	c.attempts++ // one that fails for good may leave its directory
	p := checkpoint{dir: fmt.Sprintf("/checkpoint%d", c.attempts), began: c.tick()}
	err := c.store.Checkpoint(background, p.dir)
	if err == nil {
		p.ended = c.tick()
		c.points = append(c.points, p)
	} else if _, e := c.mem.Stat(p.dir + "/CURRENT"); e == nil && !c.target.sticky {
		return fmt.Errorf("a checkpoint that failed with %w is there", err)
	}
	return err
}

// follow reads the change feed, behind where it stopped before.
func (c *crew) follow(_ *rand.Rand, done <-chan struct{}) {
	if c.opts.FeedBytes == 0 {
		return
	}
	if c.seen == nil {
		c.seen = slices.Repeat([]int{-1}, len(c.writers))
	}
	f := follower{c}
	for tries := 0; c.ok(); tries++ {
		err := f.run(done)
		if err == nil || errors.Is(err, db.ErrReadOnly) {
			return
		}
		if c.target.sticky && ended(done) || tries > 20 {
			c.report(f.judge(err))
			return
		}
		c.report(f.judge(err))
		time.Sleep(time.Millisecond)
	}
}

// follower compares what a feed delivers with what the writers do.
type follower struct{ crew *crew }

// judge is about an error of the feed.
func (f *follower) judge(err error) error {
	if errors.Is(err, db.ErrFeedBehind) && f.crew.fired.Load() > 0 && f.crew.target.feeds() {
		// Old segments that cannot be read are let go. Start over.
		f.crew.followed, f.crew.seen = false, slices.Repeat([]int{-1}, len(f.crew.seen))
		return nil
	}
	return f.crew.judge(err, true)
}

// run follows until all that was acknowledged has been delivered, once the round
// is over.
func (f *follower) run(done <-chan struct{}) error {
	c := f.crew
	feed, err := c.store.Subscribe(db.FeedOptions{Resume: c.followed, After: c.position})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	defer func() { c.report(feed.Close()) }()
	if !c.followed {
		c.followed, c.position = true, feed.Position()
	}
	for c.ok() && !f.complete(done) {
		ctx, cancel := context.WithTimeout(background, 5*time.Millisecond)
		b, err := feed.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			continue
		}
		if err == nil {
			err = f.take(&b)
		}
		if err != nil {
			return err
		}
		c.position = b.Seq
	}
	return nil
}

// complete reports whether the round is over and all has been delivered.
func (f *follower) complete(done <-chan struct{}) bool {
	if !ended(done) {
		return false
	}
	snap, err := f.crew.store.Snapshot()
	if err != nil {
		f.crew.report(err)
		return true
	}
	defer func() { f.crew.report(snap.Close()) }()
	for i, w := range f.crew.writers {
		if f.crew.seen[i] >= 0 && f.crew.seen[i] < w.last() {
			return false
		}
	}
	return f.crew.position >= snap.Seq()
}

// take compares a commit with what its writer knows of it.
func (f *follower) take(b *db.FeedBatch) error {
	last := &b.Changes[len(b.Changes)-1]
	id := int(last.Key[1] - '0')
	if id < 0 || id >= len(f.crew.writers) {
		return fmt.Errorf("feed: a change of %q", last.Key)
	}
	w := f.crew.writers[id]
	if string(last.Key) != w.marker() {
		return fmt.Errorf("feed: a commit ends in %q", last.Key)
	}
	value, err := last.Value()
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(string(value))
	if err != nil {
		return err
	}
	if number <= f.crew.seen[id] {
		return fmt.Errorf("feed: commit %d of writer %d behind %d", number, id, f.crew.seen[id])
	}
	commit := w.commitNumbered(number)
	if commit == nil {
		return fmt.Errorf("feed: commit %d of writer %d, which failed or never was", number, id)
	}
	if f.crew.seen[id] >= 0 && w.skipped(f.crew.seen[id], number) {
		return fmt.Errorf("feed: commit %d of writer %d behind %d: some are missing", number, id, f.crew.seen[id])
	}
	if err := f.compare(w, commit, b.Changes); err != nil {
		return err
	}
	f.crew.seen[id] = number
	return nil
}

// skipped reports whether there was a commit between two.
func (w *writer) skipped(a, b int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.history, func(c *change) bool { return a < c.number && c.number < b })
}

// compare compares changes with the writes of a commit. Those of a keyspace that
// has been dropped are not delivered.
func (f *follower) compare(w *writer, commit *change, changes []db.Change) error {
	i := 0
	for _, write := range commit.writes {
		if write.Space != "" && (i == len(changes) || changes[i].Keyspace.Name() == "") {
			continue
		}
		if i == len(changes) {
			return fmt.Errorf("feed: commit %d of writer %d has %d changes", commit.number, w.id, len(changes))
		}
		c := &changes[i]
		if string(c.Key) != write.Key || c.Keyspace.Name() != write.Space {
			return fmt.Errorf("feed: commit %d of writer %d: change %d is of %q/%q, want %q/%q", commit.number, w.id, i, c.Keyspace.Name(), c.Key, write.Space, write.Key)
		}
		if write.Op == 'p' {
			got, err := c.Value()
			if err != nil {
				return err
			}
			if string(got) != string(write.Value) {
				return fmt.Errorf("feed: commit %d of writer %d: %q has %q", commit.number, w.id, c.Key, got)
			}
		}
		i++
	}
	if i != len(changes) {
		return fmt.Errorf("feed: commit %d of writer %d: %d changes, want %d", commit.number, w.id, len(changes), i)
	}
	return nil
}
