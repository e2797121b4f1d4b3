package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/test/crash"
)

// mirror is a copy of the default keyspace that a change feed keeps up to date,
// across openings of the store.
type mirror struct {
	clock *crash.Clock
	after uint64
	state *crash.State
}

// catchUp applies what the feed delivers up to now, and compares the copy.
func (m *mirror) catchUp(store *db.DB) error {
	f, err := store.Subscribe(db.FeedOptions{Resume: true, After: m.after})
	if err != nil {
		return fmt.Errorf("subscribe behind %d: %w", m.after, err)
	}
	snap, err := store.Snapshot()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	for err == nil && m.after < snap.Seq() {
		err = m.next(f)
	}
	if err == nil {
		err = m.compare(store)
	}
	return errors.Join(err, snap.Close(), f.Close())
}

// next applies one commit. One without changes of the default keyspace may not
// be delivered.
func (m *mirror) next(f *db.Feed) error {
	ctx, cancel := context.WithTimeout(background, time.Second)
	defer cancel()
	b, err := f.Next(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		if f.Position() <= m.after {
			return fmt.Errorf("feed: nothing comes behind %d", m.after)
		}
		m.after = f.Position()
		return nil
	}
	if err != nil {
		return fmt.Errorf("feed behind %d: %w", m.after, err)
	}
	if b.Seq <= m.after {
		return fmt.Errorf("feed: %d behind %d", b.Seq, m.after)
	}
	m.after = b.Seq
	var writes []crash.Write
	now := m.clock.Nanos()
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Keyspace.Name() != "" {
			continue
		}
		w := crash.Write{Key: string(c.Key), End: string(c.End)}
		value, err := c.Value()
		if err != nil {
			return fmt.Errorf("feed: value of %q: %w", c.Key, err)
		}
		w.Value = bytes.Clone(value) // theirs is gone with the next commit
		at, expires := c.ExpiresAt()
		switch {
		case c.Kind == db.ChangePut && expires:
			w.Op, w.TTL = 't', time.Duration(at.UnixNano()-now)
		case c.Kind == db.ChangePut:
			w.Op = 'p'
		case c.Kind == db.ChangeDelete:
			w.Op = 'd'
		case c.Kind == db.ChangeDeleteRange:
			w.Op = 'r'
		case c.Kind == db.ChangeMerge:
			w.Op = 'm'
		}
		writes = append(writes, w)
	}
	m.state = m.state.After(writes, nil, now)
	return nil
}

// compare compares the copy with the store.
func (m *mirror) compare(store *db.DB) error {
	items, err := crash.ReadAll(store)
	if err != nil {
		return err
	}
	n := 0
	for n < len(items) && items[n].Space == "" {
		n++
	}
	if err := crash.Same(items[:n], m.state.Items(nil, m.clock.Nanos())); err != nil {
		return fmt.Errorf("copy by a feed, up to %d: %w", m.after, err)
	}
	return nil
}
