package mvcc

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/cordwood-db/cordwood/db"
)

// Discard is the discard timestamp: reads are at or above it, writes above it.
// 0 if none was ever set.
func (s *Space) Discard() Timestamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.discard
}

// effective is the timestamp up to which versions may be dropped: the discard
// timestamp, or that of the oldest open view if that is lower. It stays safe to
// use: views that are opened later are at or above it.
func (s *Space) effective() Timestamp {
	s.mu.Lock()
	defer s.mu.Unlock()
	ts := s.discard
	for h := range s.holds {
		ts = min(ts, h.ts)
	}
	return ts
}

// SetDiscard moves the discard timestamp up to ts: what only readers below ts
// could tell apart may be dropped from now on. It is durable when SetDiscard
// returns. A ts at or below the present one changes nothing and is no error, so
// that it does not matter in which order several callers come. It waits for
// commits that are on their way, and for the removal of deletions that
// compactions have found to hide nothing any more.
//
// Views that are open stay readable, and hold back what they can see. Views
// below ts cannot be opened any more. After an error that may be so or not, and
// writes at or below ts may be refused already; Discard tells what is used, and
// calling SetDiscard again does the rest.
//
// ErrTimestamp for TimestampMax, after which nothing could be written.
func (s *Space) SetDiscard(ts Timestamp) error {
	if ts == TimestampMax {
		return fmt.Errorf("%w: nothing could be written above it", ErrTimestamp)
	}
	s.setting.Lock()
	defer s.setting.Unlock()
	if err := s.raise(ts); err != nil {
		return err
	}
	return s.removeDead(context.Background())
}

// raise makes ts the discard timestamp if it is higher than what that is. In
// this order: no more writes below, durable, used.
func (s *Space) raise(ts Timestamp) error {
	if ts <= s.Discard() {
		return nil
	}
	s.gate.Lock()
	s.floor = max(s.floor, ts)
	s.gate.Unlock()
	if err := s.writeHeader(ts); err != nil {
		return err
	}
	s.mu.Lock()
	s.discard = ts
	s.mu.Unlock()
	return nil
}

// writable reports whether something may be written at ts.
func writable(ts, floor Timestamp) error {
	switch {
	case ts == 0:
		return fmt.Errorf("%w: 0 is before all versions", ErrTimestamp)
	case ts <= floor:
		return fmt.Errorf("%w: write at %d, at or below %d", ErrDiscarded, ts, floor)
	}
	return nil
}

// removeDead removes the keys that the compaction filter has noted. Those that
// are not done when it fails are noted again.
func (s *Space) removeDead(ctx context.Context) error {
	s.mu.Lock()
	prefixes := slices.Sorted(maps.Keys(s.dead.prefixes))
	s.dead = deadKeys{}
	s.mu.Unlock()
	for len(prefixes) > 0 {
		part := prefixes[:min(len(prefixes), removerKeys)]
		if err := s.removePart(ctx, part); err != nil {
			for _, p := range prefixes {
				s.noteDead([]byte(p))
			}
			return fmt.Errorf("remove deleted keys: %w", err)
		}
		prefixes = prefixes[len(part):]
	}
	return nil
}

// removePart removes what is dead of some keys, which ascend.
func (s *Space) removePart(ctx context.Context, prefixes []string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r, err := s.newRemover(db.All())
	if err != nil {
		return err
	}
	defer r.close()
	var at []byte
	for _, p := range prefixes {
		at = appendTimestamp(append(at[:0], p...), r.discard)
		if !r.c.SeekGE(at) {
			if err := r.c.Err(); err != nil {
				return err
			}
			continue
		}
		if _, err := r.key(); err != nil {
			return err
		}
	}
	return r.finish()
}

// sweep removes from a range of user keys the deletions that hide nothing that
// anybody could see; with hidden, also what nobody can see below values.
func (s *Space) sweep(ctx context.Context, rng db.Range, hidden bool) error {
	r, err := s.newRemover(storedRange(rng))
	if err != nil {
		return err
	}
	defer r.close()
	r.hidden = hidden
	if r.discard == 0 {
		return nil
	}
	ok := r.c.First()
	for n := 0; ok; n++ {
		if n%removerKeys == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		if ok, err = r.key(); err != nil {
			return err
		}
	}
	return r.finish()
}
