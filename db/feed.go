package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/wal"
)

// FeedOptions say what a feed delivers. The zero value is every change of every
// keyspace from now on.
type FeedOptions struct {
	// Keyspaces, if not empty, are those whose changes are delivered.
	Keyspaces []*Keyspace
	// Range is which keys: Prefix(p), or any other. Its direction counts for
	// nothing.
	Range Range
	// Resume starts behind the commit with the sequence number After, which
	// may be FeedBatch.Seq or Feed.Position of an earlier feed, also of an
	// earlier opening of the store, or Snapshot.Seq. Otherwise the feed starts
	// with the first commit after Subscribe.
	Resume bool
	After  uint64
	// Durable delivers commits only once they survive power loss. Otherwise a
	// feed may deliver what the store then loses with the machine's power; the
	// positions of what is lost are not to be resumed at: they may be ahead of
	// the store, and once it has caught up, behind commits that were not had.
	Durable bool
}

// Feed delivers the changes of a store in the order in which they were
// committed: each batch and transaction whole, or what the options select of
// it. It reads them from the log at its own pace, so that a slow one holds up
// nobody; if it falls behind what the log keeps, it ends with ErrFeedBehind.
//
// Across restarts delivery is at least once: store FeedBatch.Seq when the
// batch has been dealt with, and resume after it.
//
// A Feed is used by one goroutine at a time; Close may come from another.
type Feed struct {
	db     *DB
	opts   FeedOptions
	spaces map[uint32]bool // nil: all
	handle *handle

	reader *wal.Reader
	after  base.SeqNum // all up to it has been delivered or passed over
	rest   []byte      // of the record that is being delivered
	lsn    uint64      // behind that record
	limit  uint64      // up to where the log was read last
	sure   base.SeqNum // values of commits from here on are kept

	changes []Change // of the batch that was delivered last
	closed  atomic.Bool
	closeC  chan struct{}
}

// FeedBatch is what a feed delivers of one commit. Its slices are valid until
// the next call of the Feed.
type FeedBatch struct {
	Seq     uint64 // of the commit's last operation: to resume after
	Changes []Change
}

// ChangeKind is what a change does.
type ChangeKind uint8

const (
	// ChangePut sets Key to Value.
	ChangePut ChangeKind = iota + 1
	// ChangeDelete removes Key.
	ChangeDelete
	// ChangeDeleteRange removes all keys from Key up to, but not including, End;
	// a nil End has none. It is cut to the feed's range.
	ChangeDeleteRange
	// ChangeMerge adds the operand Value to Key.
	ChangeMerge
)

// String names the kind.
func (k ChangeKind) String() string {
	switch k {
	case ChangePut:
		return "put"
	case ChangeDelete:
		return "delete"
	case ChangeDeleteRange:
		return "delete-range"
	case ChangeMerge:
		return "merge"
	}
	return fmt.Sprintf("ChangeKind(%d)", uint8(k))
}

// Change is one operation of a commit. It and its slices are valid until the
// next call of the Feed.
type Change struct {
	Kind     ChangeKind
	Keyspace *Keyspace
	Key, End []byte

	feed   *Feed
	seq    base.SeqNum
	expiry uint64
	value  []byte
	ptr    base.Pointer
	far    bool // the value is where ptr says
}

// Subscribe opens a feed. Close it when done.
//
// Errors: ErrFeedBehind if it is to resume where the log has no changes any
// more; ErrFeedAhead if the store has not got there; ErrKeyspaceDropped;
// ErrReadOnly if the store takes no writes.
func (db *DB) Subscribe(o FeedOptions) (*Feed, error) {
	f := &Feed{db: db, opts: o, handle: newHandle(2), closeC: make(chan struct{})}
	f.opts.Keyspaces = slices.Clone(o.Keyspaces)
	for _, ks := range o.Keyspaces {
		switch {
		case ks == nil || ks.db != db:
			return nil, errForeignKeyspace
		case ks.dropped.Load():
			return nil, ks.droppedErr()
		}
		if f.spaces == nil {
			f.spaces = make(map[uint32]bool)
		}
		f.spaces[ks.num] = true
	}
	err := db.during(context.Background(), func(context.Context) error {
		if err := db.writable(); err != nil {
			return err
		}
		return f.open()
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Position is the sequence number up to which everything has been delivered,
// or passed over because it was not asked for: to resume after it.
func (f *Feed) Position() uint64 { return uint64(f.after) }

// Next waits for the next commit that has changes for the feed.
//
// Errors: ctx's; ErrFeedBehind; ErrClosed; ErrKeyspaceDropped if all keyspaces
// that the feed is for have been dropped; a *CorruptionError for damage in the
// log; ErrReadOnly with the cause once a store that has failed has delivered
// what it can.
func (f *Feed) Next(ctx context.Context) (FeedBatch, error) {
	for {
		batch, ok, err := f.next(ctx)
		if ok || err != nil {
			return batch, err
		}
		if err := f.await(ctx); err != nil {
			return FeedBatch{}, err
		}
	}
}

// All is Next for a loop, which ends with the first error.
func (f *Feed) All(ctx context.Context) iter.Seq2[FeedBatch, error] {
	return func(yield func(FeedBatch, error) bool) {
		for {
			batch, err := f.Next(ctx)
			if !yield(batch, err) || err != nil {
				return
			}
		}
	}
}

// next is Next that does not wait; ok is false if there is nothing yet.
func (f *Feed) next(ctx context.Context) (batch FeedBatch, ok bool, err error) {
	for {
		switch { // here, since it may take long to find something
		case f.closed.Load():
			return batch, false, ErrClosed
		case ctx.Err() != nil:
			return batch, false, ctx.Err()
		}
		if len(f.rest) == 0 {
			f.limit = f.readable()
			rec, ok, err := f.reader.Next(f.limit)
			switch {
			case errors.Is(err, wal.ErrGone):
				return batch, false, fmt.Errorf("%w: %w", ErrFeedBehind, err)
			case err != nil || !ok:
				return batch, false, err
			}
			f.rest, f.lsn = rec.Payload, rec.EndLSN
		}
		h, ops, rest, err := base.DecodeCommit(f.rest)
		if err != nil {
			return batch, false, f.undecodable(err)
		}
		last := h.FirstSeq + base.SeqNum(h.Count) - 1
		if h.Count == 0 || last <= f.after {
			f.rest = rest
			continue
		}
		if last > base.SeqNum(f.db.visible.Load()) {
			return batch, false, nil // in the log, and not committed yet
		}
		f.rest = rest
		if err := f.gather(h, ops); err != nil {
			return batch, false, f.undecodable(err)
		}
		f.after = last
		if len(f.changes) > 0 {
			return FeedBatch{Seq: uint64(last), Changes: f.changes}, true, nil
		}
	}
}

// readable is up to where the log may be read.
func (f *Feed) readable() uint64 {
	a := &f.db.active
	a.mu.Lock()
	log := a.log
	a.mu.Unlock()
	switch {
	case log == nil:
		return 0
	case f.opts.Durable:
		return log.SyncedLSN()
	}
	return log.EndLSN()
}

func (f *Feed) undecodable(err error) error {
	return &CorruptionError{File: base.FileName(base.FileWAL, uint64(f.reader.Segment())), Offset: -1,
		Reason: fmt.Sprintf("record before LSN %d does not decode", f.lsn), Err: err}
}

// gather collects the changes of a commit that the feed is for.
func (f *Feed) gather(h base.CommitHeader, ops []byte) error {
	clear(f.changes)
	f.changes = f.changes[:0]
	it := base.OpIter{B: ops}
	for seq := h.FirstSeq; ; seq++ {
		op, ok, err := it.Next()
		if err != nil {
			return err
		}
		if !ok {
			if seq-h.FirstSeq != base.SeqNum(h.Count) {
				return errCount
			}
			return nil
		}
		if f.spaces != nil && !f.spaces[op.Keyspace] {
			continue
		}
		c := Change{Keyspace: f.db.spaces.numbered(op.Keyspace), Key: op.Key, feed: f, seq: seq}
		if c.Keyspace == nil || !f.selects(&c, op) {
			continue // nobody can tell the name of a keyspace that is dropped
		}
		if err := c.decode(op); err != nil {
			return err
		}
		f.changes = append(f.changes, c)
	}
}

// selects reports whether op is in the feed's range, and cuts a range delete to
// it.
func (f *Feed) selects(c *Change, op base.Op) bool {
	r := &f.opts.Range
	if op.Kind.Op() != base.KindRangeDelete {
		return bytes.Compare(op.Key, r.lower) >= 0 && (!r.bounded || bytes.Compare(op.Key, r.upper) < 0)
	}
	if bytes.Compare(c.Key, r.lower) < 0 {
		c.Key = r.lower
	}
	c.End = op.Payload
	if r.bounded && bytes.Compare(c.End, r.upper) > 0 {
		c.End = r.upper
	}
	if bytes.Compare(c.Key, c.End) >= 0 {
		return false
	}
	if bytes.Equal(c.End, keyInfinity) {
		c.End = nil
	}
	return true
}

// decode takes over what op does.
func (c *Change) decode(op base.Op) (err error) {
	switch op.Kind.Op() {
	case base.KindDelete:
		c.Kind = ChangeDelete
		return nil
	case base.KindRangeDelete:
		c.Kind = ChangeDeleteRange
		return nil
	case base.KindMerge:
		c.Kind = ChangeMerge
	default:
		c.Kind = ChangePut
	}
	if c.expiry, c.value, err = base.SplitPayload(op.Kind, op.Payload); err != nil {
		return err
	}
	if op.Kind.Op() == base.KindSetPointer {
		c.far = true
		c.ptr, err = base.DecodePointer(c.value)
	}
	return err
}

// await waits until there may be more to deliver.
func (f *Feed) await(ctx context.Context) error {
	wake, done := f.db.feeds.wait()
	defer done()
	if f.hasMore() {
		return nil
	}
	if err := f.ended(); err != nil {
		return err
	}
	select {
	case <-wake:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-f.closeC:
		return ErrClosed
	case <-f.db.ctx.Done():
		return ErrClosed
	}
}

// ended says why nothing more will come, if so.
func (f *Feed) ended() error {
	if err := f.db.readOnlyErr(); err != nil {
		return err
	}
	for _, ks := range f.opts.Keyspaces {
		if !ks.dropped.Load() {
			return nil
		}
	}
	if f.spaces == nil {
		return nil
	}
	return f.opts.Keyspaces[0].droppedErr()
}

// hasMore reports whether something was published since next looked.
func (f *Feed) hasMore() bool {
	if len(f.rest) > 0 {
		h, _, _, err := base.DecodeCommit(f.rest)
		return err != nil || h.FirstSeq+base.SeqNum(h.Count) <= base.SeqNum(f.db.visible.Load())+1
	}
	return f.readable() > f.limit
}

// Close ends the feed. Closing it again is allowed.
func (f *Feed) Close() error {
	if f.db.retained.removeFeed(f) {
		// What was kept for it alone goes at once: on a full disk there may be no
		// flush that would see to it.
		f.db.retained.excess.Store(true)
		f.db.wakeCleaner()
	}
	f.shut()
	return nil
}

func (f *Feed) shut() {
	if f.closed.CompareAndSwap(false, true) {
		close(f.closeC)
	}
}

// signal wakes those who wait for something. Signalling costs an atomic load
// while nobody waits.
type signal struct {
	waiting atomic.Int32
	mu      sync.Mutex
	c       chan struct{} // closed by the next wake; nil if nobody waits
}

// wait returns what the next wake closes. Whatever the caller waits for has to
// be looked at after this call; then done is called.
func (s *signal) wait() (c <-chan struct{}, done func()) {
	s.waiting.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c == nil {
		s.c = make(chan struct{})
	}
	return s.c, func() { s.waiting.Add(-1) }
}

func (s *signal) wake() {
	if s.waiting.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.c != nil {
		close(s.c)
		s.c = nil
	}
}
