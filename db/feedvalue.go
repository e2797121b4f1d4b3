package db

import (
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Value is the value of a put, the operand of a merge. One in the value log is
// read here. The slice is valid until the next call of the Feed; don't change
// it. ErrFeedBehind if the value is not kept any more, ErrKeyspaceDropped if
// its keyspace has been dropped meanwhile.
func (c *Change) Value() ([]byte, error) {
	if !c.far {
		return c.value, nil
	}
	db := c.feed.db
	s, _ := db.acquire()
	if s == nil {
		return nil, ErrClosed
	}
	defer db.release(s)
	value, err := db.readValue(nil, s.version, c.Keyspace.num, c.Key, c.seq, c.ptr)
	switch {
	case !isCorruption(err):
		return value, err
	case c.Keyspace.dropped.Load():
		return nil, c.Keyspace.droppedErr()
	case c.seq < c.feed.sure || uint64(c.seq) < db.retained.low.Load():
		return nil, fmt.Errorf("%w: %w", ErrFeedBehind, err)
	}
	return nil, err
}

// ValueSize is the length of what Value returns, known without reading it.
func (c *Change) ValueSize() int {
	if c.far {
		return int(c.ptr.ValueLen)
	}
	return len(c.value)
}

// ExpiresAt is when the value expires; ok is false if it does not.
func (c *Change) ExpiresAt() (at time.Time, ok bool) {
	if c.expiry == 0 {
		return time.Time{}, false
	}
	return time.Unix(0, int64(c.expiry)), true
}

// addFeed makes the log be kept for a feed.
func (r *retention) addFeed(f *Feed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.feeds[f] = f.handle
}

// holdFrom keeps values of commits from seq on, if older ones are not kept
// anyhow, and returns from where on they surely are.
func (r *retention) holdFrom(seq base.SeqNum) base.SeqNum {
	for {
		low := r.low.Load()
		if low <= uint64(seq) {
			return max(base.SeqNum(low), r.sureFrom(seq, low))
		}
		if r.low.CompareAndSwap(low, uint64(seq)) {
			return seq
		}
	}
}

// sureFrom is from where on values are surely there that are kept from low on.
// Nobody knows whether an earlier opening of the store kept them.
func (r *retention) sureFrom(seq base.SeqNum, low uint64) base.SeqNum {
	r.mu.Lock()
	defer r.mu.Unlock()
	return min(seq, max(base.SeqNum(low), r.openSeq+1))
}

// removeFeed forgets a feed. last says that it was there, and none is left.
func (r *retention) removeFeed(f *Feed) (last bool) {
	r.mu.Lock()
	_, had := r.feeds[f]
	delete(r.feeds, f)
	last = had && len(r.feeds) == 0
	r.mu.Unlock()
	r.holdNothing()
	return last
}

// closeFeeds ends all feeds and returns where they were opened.
func (r *retention) closeFeeds() (where []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for f, h := range r.feeds {
		f.shut()
		where = append(where, h.String())
	}
	clear(r.feeds)
	return where
}
