package crash

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// permanent is the name of a keyspace that a crew never drops.
const permanent = "p"

// Crew is several writers at once on one store, with all that goes on beside
// them. It works in rounds; in between it may close and open the store. Time
// passes between rounds only.
type Crew struct {
	*Workload
	Order *Order

	hands   []*hand
	refused atomic.Int64 // commits that met a conflict, or a keyspace that is gone
	round   int
	after   uint64 // what the feed has delivered

	mu   sync.Mutex
	live map[string]lively
}

// lively is a keyspace, and which one of that name it is.
type lively struct {
	ks   *db.Keyspace
	life int
}

// NewCrew makes a crew with options drawn from seed, on an empty store. It opens
// nothing.
func NewCrew(fs vfs.FS, seed uint64, clock *Clock) *Crew {
	w := NewWorkload(fs, Empty(), seed, clock)
	w.Opts.Durability = []db.Durability{db.NoSync, db.NoSync, db.Sync}[w.rand.IntN(3)]
	w.Opts.FeedBytes = []int64{0, 4 << 10, 64 << 10, keepsAll}[w.rand.IntN(4)]
	w.History.feedBytes = w.Opts.FeedBytes
	c := &Crew{Workload: w}
	for i := range 2 + w.rand.IntN(7) {
		c.hands = append(c.hands, newHand(c, i, seed))
	}
	c.Order = NewOrder(w.History, len(c.hands))
	return c
}

// Open opens the store.
func (c *Crew) Open() error {
	since := c.Order.now()
	if err := c.Workload.Open(); err != nil {
		return err
	}
	_ = c.Order.prove(since, nil)
	c.live = map[string]lively{"": {ks: c.Store.Default()}}
	for name, life := range c.History.Spaces() {
		ks, err := keyspace(c.Store, name)
		if err != nil {
			return err
		}
		c.live[name] = lively{ks, life}
	}
	if _, ok := c.live[permanent]; !ok {
		return c.make(permanent)
	}
	return nil
}

// Close closes the store.
func (c *Crew) Close() error {
	if c.Store == nil {
		return nil
	}
	since := c.Order.now()
	return c.Order.prove(since, c.Workload.Close())
}

// spacesNow are the keyspaces that there are.
func (c *Crew) spacesNow() map[string]lively {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.live)
}

// make makes a keyspace.
func (c *Crew) make(name string) error {
	if err := c.makeSpace(name, &db.KeyspaceOptions{Merge: db.Append()}); err != nil {
		return err
	}
	ks, err := keyspace(c.Store, name)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.live[name] = lively{ks, c.History.Spaces()[name]}
	return err
}

// change makes or drops a keyspace.
func (c *Crew) change() error {
	name := string("abc"[c.rand.IntN(3)])
	l, ok := c.spacesNow()[name]
	if !ok {
		return c.make(name)
	}
	c.Order.drop(l.life)
	if err := c.dropSpace(name); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.live, name)
	return nil
}

// checkpoint makes a checkpoint in place of an older one.
func (c *Crew) checkpoint() error {
	e := &extent{begun: c.Order.now()}
	c.Order.mu.Lock()
	c.Order.points[fmt.Sprintf("/checkpoint%d", c.points+1)] = e
	c.Order.mu.Unlock()
	err := c.Workload.checkpoint()
	done := c.Order.now()
	c.Order.mu.Lock()
	defer c.Order.mu.Unlock()
	e.done = done
	return err
}

// Round lets all writers make so many commits, and waits for the feed.
func (c *Crew) Round(commits int) error {
	c.round++
	if c.rand.IntN(2) == 0 {
		c.clock.nanos.Add(int64(c.rand.IntN(4)) * int64(time.Second))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var feeds, tenders, hands sync.WaitGroup
	errs := make(chan error, len(c.hands)+8)
	run := func(wg *sync.WaitGroup, fn func() error) { wg.Go(func() { errs <- fn() }) }

	feed, err := c.Store.Subscribe(db.FeedOptions{Resume: c.after > 0 && c.rand.IntN(2) == 0, After: c.after})
	if err != nil {
		cancel()
		return fmt.Errorf("subscribe after %d: %w", c.after, err)
	}
	run(&feeds, func() error { return c.listen(ctx, feed) })
	if c.rand.IntN(2) == 0 {
		durable, err := c.Store.Subscribe(db.FeedOptions{Durable: true})
		if err == nil {
			run(&feeds, func() error { return c.believe(ctx, durable) })
		}
		errs <- err
	}
	for _, h := range c.hands {
		run(&hands, func() error { return h.work(commits) })
	}
	tend := c.rand.Uint64()
	run(&tenders, c.govern)
	run(&tenders, func() error { return c.tend(tend) })
	hands.Wait()
	tenders.Wait()
	err = c.Order.await()
	cancel()
	feeds.Wait()
	close(errs)
	all := []error{err}
	for err := range errs {
		all = append(all, err)
	}
	return errors.Join(all...)
}

// listen collects what the feed delivers.
func (c *Crew) listen(ctx context.Context, feed *db.Feed) error {
	defer feed.Close()
	for batch, err := range feed.All(ctx) {
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			err = c.Order.hear(batch)
		}
		if err != nil {
			return fmt.Errorf("feed: %w", err)
		}
		c.after = batch.Seq
	}
	return nil
}

// believe notes what a feed says is durable.
func (c *Crew) believe(ctx context.Context, feed *db.Feed) error {
	defer feed.Close()
	for batch, err := range feed.All(ctx) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("feed of what is durable: %w", err)
		}
		c.Order.learn(batch.Seq)
	}
	return nil
}

// rest lets others run.
func rest(n int) {
	for range n {
		runtime.Gosched()
	}
}

// tend does what the store would do in the background.
func (c *Crew) tend(seed uint64) error {
	h := newHand(c, -1, seed)
	for range 2 + h.rand.IntN(5) {
		rest(h.rand.IntN(200))
		since := c.Order.now()
		var err error
		switch h.rand.IntN(6) {
		case 0:
			err = c.Order.prove(since, c.Store.Sync())
		case 1, 2:
			err = c.Order.prove(since, c.Store.Flush(context.Background()))
		case 3:
			err = c.Store.Compact(context.Background(), db.All())
		default:
			err = c.Store.CollectGarbage(context.Background(), h.rand.Float64()/4)
		}
		if err != nil {
			return fmt.Errorf("in the background: %w", err)
		}
	}
	return nil
}

// govern makes and drops keyspaces and checkpoints, and takes snapshots.
func (c *Crew) govern() error {
	for range 1 + c.rand.IntN(4) {
		rest(c.rand.IntN(200))
		var err error
		switch c.rand.IntN(6) {
		case 0, 1, 2:
			err = c.change()
		case 3:
			err = c.checkpoint()
		default:
			err = c.look()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// look reads a snapshot.
func (c *Crew) look() error {
	snap, err := c.Store.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	p := c.spacesNow()[permanent]
	s := sight{seq: snap.Seq(), spaces: Spaces{permanent: p.life}, now: c.clock.Nanos()}
	rest(c.rand.IntN(100))
	if s.items, err = scanAll(snap, "", nil); err != nil {
		return err
	}
	if s.items, err = scanAll(snap.In(p.ks), permanent, s.items); err != nil {
		return err
	}
	c.Order.mu.Lock()
	defer c.Order.mu.Unlock()
	c.Order.seen = append(c.Order.seen, s)
	return nil
}

// Between does what only one can do: nothing, or open the store again.
func (c *Crew) Between() error {
	switch c.rand.IntN(4) {
	case 0:
		if err := c.Close(); err != nil {
			return err
		}
		return c.Open()
	case 1:
		return c.Store.CollectGarbage(context.Background(), c.rand.Float64()/4)
	case 2:
		time.Sleep(max(2*c.Opts.SyncInterval, 0)) // for a sync in the background
	}
	return nil
}

// Play is the whole work of a crew: rounds, and in the end the order is settled
// and compared with what the store holds.
func (c *Crew) Play(rounds, commits int) error {
	err := c.Open()
	for i := 0; err == nil && i < rounds; i++ {
		if i > 0 {
			err = c.Between()
		}
		if err == nil && c.Store != nil {
			err = c.Round(commits)
		}
	}
	var items []Item
	if err == nil {
		items, err = ReadAll(c.Store)
	}
	if err = errors.Join(err, c.Close()); err != nil {
		return err
	}
	if err := c.Order.Settle(); err != nil {
		return err
	}
	n := len(c.History.states) - 1
	if err := Same(items, c.History.State(n).Items(c.History.Spaces(), c.clock.Nanos())); err != nil {
		return fmt.Errorf("running store after %d commits: %w", n, err)
	}
	return nil
}
