package crash

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// Order is the commits of several writers at once. Only the store knows in what
// order it makes them: a change feed tells it, and Settle checks what the feed
// says against all that the writers know. Until then events are told apart by
// ticks, of which each has its own. Safe for concurrent use.
type Order struct {
	// History has the keyspaces and the checkpoints, and the states once
	// Settle has returned.
	History *History

	mu      sync.Mutex
	tick    int64
	deeds   [][]*deed // by writer: those that are, or may turn out to be, commits
	heard   []heard   // by the feed
	told    []told    // by a feed of what is durable
	proofs  []proof
	seen    []sight
	dropped map[int]bool // lives of keyspaces whose drop was begun
	points  map[string]*extent

	// What Settle finds out, by tick: how many commits had been acknowledged,
	// were durable, and how many may have been begun.
	acked, durable, begun []int
}

// deed is one commit.
type deed struct {
	writes       []Write
	spaces       Spaces // lives of those that it writes to
	reads        []read // what it relies on
	now          int64
	sync         bool
	begun, acked int64
}

// read is what a commit has found under a key.
type read struct {
	at    place
	value []byte
	found bool
}

// heard is a commit as a feed has delivered it.
type heard struct {
	seq     uint64
	changes []change
}

// change is a change as a feed has delivered it.
type change struct {
	Write
	expiry int64
	gone   bool // its keyspace was dropped before its value was read
}

// told says that a commit, by the number that the feed gave it, was durable.
type told struct {
	seq  uint64
	tick int64
}

// proof says that by the tick done everything was durable that had been
// acknowledged by the tick begun.
type proof struct{ begun, done int64 }

// extent is the ticks between which a checkpoint was made; done is 0 before.
type extent struct{ begun, done int64 }

// sight is what a snapshot has shown of some keyspaces.
type sight struct {
	seq    uint64
	spaces Spaces
	now    int64
	items  []Item
}

// NewOrder is the order of no commits on an empty store, by so many writers.
func NewOrder(h *History, writers int) *Order {
	return &Order{History: h, deeds: make([][]*deed, writers), dropped: make(map[int]bool), points: make(map[string]*extent)}
}

// now gives out a tick.
func (o *Order) now() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tick++
	return o.tick
}

// begin notes that a writer is about to commit something.
func (o *Order) begin(writer int, now int64) *deed {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tick++
	d := &deed{now: now, begun: o.tick}
	o.deeds[writer] = append(o.deeds[writer], d)
	return d
}

// ack notes that the deed that a writer began last is committed.
func (o *Order) ack(d *deed) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tick++
	d.acked = o.tick
}

// refuse notes that it was not committed, and never will be.
func (o *Order) refuse(writer int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.deeds[writer] = o.deeds[writer][:len(o.deeds[writer])-1]
}

// commits is how many there are so far.
func (o *Order) commits() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, ds := range o.deeds {
		n += len(ds)
	}
	return n
}

// delivered is how many commits the feed has delivered so far.
func (o *Order) delivered() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.heard)
}

// prove notes that what had been acknowledged at a tick is durable, unless there
// was an error.
func (o *Order) prove(since int64, err error) error {
	if err == nil {
		done := o.now()
		o.mu.Lock()
		defer o.mu.Unlock()
		o.proofs = append(o.proofs, proof{since, done})
	}
	return err
}

// drop notes that a keyspace is about to be dropped.
func (o *Order) drop(life int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped[life] = true
}

// hear notes what a feed has delivered.
func (o *Order) hear(batch db.FeedBatch) error {
	h, err := newHeard(batch)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard = append(o.heard, *h)
	return nil
}

// newHeard is a copy of what a feed has delivered.
func newHeard(batch db.FeedBatch) (*heard, error) {
	h := &heard{seq: batch.Seq, changes: make([]change, 0, len(batch.Changes))}
	for i := range batch.Changes {
		c, err := newChange(&batch.Changes[i])
		if err != nil {
			return nil, fmt.Errorf("feed: value of %q: %w", batch.Changes[i].Key, err)
		}
		h.changes = append(h.changes, c)
	}
	return h, nil
}

// learn notes that a feed of what is durable has delivered a commit.
func (o *Order) learn(seq uint64) {
	at := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = append(o.told, told{seq, at})
}

// newChange is a copy of a change.
func newChange(c *db.Change) (change, error) {
	w := Write{Space: c.Keyspace.Name(), Key: string(c.Key), End: string(c.End)}
	to := change{Write: w}
	if at, ok := c.ExpiresAt(); ok {
		to.expiry = at.UnixNano()
	}
	switch c.Kind {
	case db.ChangeDelete:
		to.Op = 'd'
		return to, nil
	case db.ChangeDeleteRange:
		to.Op = 'r'
		return to, nil
	case db.ChangeMerge:
		to.Op = 'm'
	default:
		to.Op = 'p'
	}
	v, err := c.Value()
	if errors.Is(err, db.ErrKeyspaceDropped) {
		to.gone = true
		return to, nil
	}
	to.Value = bytes.Clone(v)
	return to, err
}

// is reports whether the change is what w does, when it is done at a time.
func (c *change) is(w *Write, now int64) bool {
	op, expiry := w.Op, int64(0)
	if op == 't' {
		op, expiry = 'p', now+int64(w.TTL)
	}
	return c.Op == op && c.Space == w.Space && c.Key == w.Key && c.End == w.End && c.expiry == expiry &&
		(c.gone || op == 'd' || op == 'r' || bytes.Equal(c.Value, w.Value))
}

// isOf reports whether a feed has heard of the deed. It keeps back only what is
// in keyspaces that are dropped.
func (h *heard) isOf(d *deed, dropped map[int]bool) bool {
	next := 0
	for i := range d.writes {
		w := &d.writes[i]
		switch gone := dropped[d.spaces[w.Space]]; {
		case next < len(h.changes) && h.changes[next].is(w, d.now) && (!h.changes[next].gone || gone):
			next++
		case !gone:
			return false
		}
	}
	return next == len(h.changes)
}

// before implements Witness.
func (o *Order) before(img *Image) {
	img.lo = o.now()
	img.since = img.lo
	img.Points, img.Spaces = o.History.Checkpoints(), o.History.MaySpaces()
}

// after implements Witness.
func (o *Order) after(img *Image) {
	img.hi = o.now()
	o.History.after(img)
}

// Resolve puts into an image how many commits it must and may have.
func (o *Order) Resolve(img *Image) {
	img.Synced, img.Hi = o.durable[img.since], o.begun[img.hi]
	img.Lo = o.durable[img.lo]
	if img.Kind == "kill" {
		img.Lo = max(img.Lo, o.acked[img.lo])
	}
	for dir, span := range img.Points {
		at := o.points[dir]
		span.Lo, span.Hi = o.acked[at.begun], img.Hi
		if span.Done {
			span.Hi = o.begun[at.done]
		}
		img.Points[dir] = span
	}
}

// limits fills in what was true by which tick. at are the deeds in order.
func (o *Order) limits(at []*deed) error {
	n := o.tick + 2
	o.acked, o.durable, o.begun = make([]int, n), make([]int, n), make([]int, n)
	for t := range o.begun {
		o.begun[t] = len(at)
	}
	places := make(map[uint64]int)
	for pos, d := range at {
		o.acked[d.acked] = pos + 1
		if d.sync {
			o.durable[d.acked] = pos + 1
		}
		o.begun[d.begun] = pos
		places[o.heard[pos].seq] = pos + 1
	}
	for _, t := range o.told {
		pos, ok := places[t.seq]
		if !ok {
			return fmt.Errorf("a feed of what is durable has delivered %d, which the other one has not", t.seq)
		}
		o.durable[t.tick] = max(o.durable[t.tick], pos)
	}
	for t := range o.acked[1:] {
		o.acked[t+1] = max(o.acked[t+1], o.acked[t])
	}
	for _, p := range o.proofs {
		o.durable[p.done] = max(o.durable[p.done], o.acked[p.begun])
	}
	for t := range o.durable[1:] {
		o.durable[t+1] = max(o.durable[t+1], o.durable[t])
	}
	// What was begun after a tick is not in an image from before it, nor is
	// what was committed after that.
	least := len(at)
	for t := len(o.begun) - 1; t >= 0; t-- {
		here := o.begun[t]
		o.begun[t] = least
		least = min(least, here)
	}
	return nil
}

// Settle finds out what the order of the commits is, and checks it: each commit
// is there once and whole, those of one writer in their order, each behind all
// that were acknowledged before it was begun; and each has read what the ones
// before it have left.
func (o *Order) Settle() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	h, heads := o.History, make([]int, len(o.deeds))
	at := make([]*deed, 0, len(o.heard))
	for i := range o.heard {
		state := h.states[i]
		d, err := o.next(&o.heard[i], heads, state)
		if err != nil {
			return fmt.Errorf("commit %d: %w", i, err)
		}
		at = append(at, d)
		h.states = append(h.states, state.After(d.writes, d.spaces, d.now))
		h.commits = append(h.commits, commit{o.heard[i].seq, d})
	}
	h.acked, h.synced = len(at), len(at)
	for w, n := range heads {
		if n < len(o.deeds[w]) {
			return fmt.Errorf("the feed has %d of %d commits of writer %d", n, len(o.deeds[w]), w)
		}
	}
	least := int64(math.MaxInt64)
	for i, d := range slices.Backward(at) {
		if d.begun > least {
			return fmt.Errorf("commit %d was begun when a later one had been acknowledged", i)
		}
		least = min(least, d.acked)
	}
	if err := o.compareSights(); err != nil {
		return err
	}
	return o.limits(at)
}

// next is the deed that a feed has delivered: the next one of some writer, which
// has read what is in a state.
func (o *Order) next(h *heard, heads []int, state *State) (*deed, error) {
	var misread error
	for w, n := range heads {
		if n == len(o.deeds[w]) || !h.isOf(o.deeds[w][n], o.dropped) {
			continue
		}
		d := o.deeds[w][n]
		if err := d.agrees(state); err != nil {
			misread = err
			continue
		}
		heads[w]++
		return d, nil
	}
	of := make([]Write, len(h.changes))
	for i := range h.changes {
		of[i] = h.changes[i].Write
	}
	if misread != nil {
		return nil, fmt.Errorf("%s: %w", describe(of), misread)
	}
	var s bytes.Buffer
	for w, n := range heads {
		if n < len(o.deeds[w]) {
			fmt.Fprintf(&s, "\n  %d: %s", w, describe(o.deeds[w][n].writes))
		}
	}
	return nil, fmt.Errorf("the feed delivers what is no writer's next commit: %s; they are%s", describe(of), s.Bytes())
}

// agrees compares what the deed has read with what it should have.
func (d *deed) agrees(state *State) error {
	for _, r := range d.reads {
		e, ok := state.entries[r.at]
		var value []byte
		if ok {
			value, ok = e.at(d.now)
		}
		if ok != r.found || !bytes.Equal(value, r.value) {
			return fmt.Errorf("it has read %v: %v %s; the commits before it have left %v %s",
				r.at, r.found, brief(r.value), ok, brief(value))
		}
	}
	return nil
}

func describe(writes []Write) string {
	var s bytes.Buffer
	for i := range min(len(writes), 8) {
		w := &writes[i]
		fmt.Fprintf(&s, "%c %q/%q %s %s; ", w.Op, w.Space, w.Key, w.End, brief(w.Value))
	}
	if len(writes) > 8 {
		fmt.Fprintf(&s, "and so on, %d", len(writes))
	}
	return s.String()
}

// compareSights compares what snapshots have shown.
func (o *Order) compareSights() error {
	for _, s := range o.seen {
		n := 0
		for n < len(o.History.commits) && o.History.commits[n].seq <= s.seq {
			n++
		}
		if err := Same(s.items, o.History.states[n].Items(s.spaces, s.now)); err != nil {
			return fmt.Errorf("snapshot at %d, after %d commits: %w", s.seq, n, err)
		}
	}
	return nil
}

// awaitMax is how long a feed may take, on a machine that is busy.
const awaitMax = 2 * time.Minute

// await waits until the feed has delivered everything.
func (o *Order) await() error {
	for start := time.Now(); time.Since(start) < awaitMax; time.Sleep(time.Millisecond) {
		if o.delivered() >= o.commits() {
			return nil
		}
	}
	return fmt.Errorf("the feed has delivered %d of %d commits", o.delivered(), o.commits())
}
