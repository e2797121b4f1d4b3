package mvcc

import (
	"bytes"

	"github.com/cordwood-db/cordwood/db"
)

// discardFilter is the compaction filter of a space: of the versions of a key
// at or below the effective discard timestamp it drops those that lie below
// another one in the same run.
//
// That is safe whatever other tables hold. Let a version v be dropped because of
// a newer one w, both at or below the discard timestamp: a reader that could see
// v would be below w. w itself may have been dropped meanwhile in another run,
// but then because of a still newer one, or together with v by remove. So the
// newest one stays, and it is the one that readers see.
//
// Views of snapshots and transactions are not held to the effective discard
// timestamp, which may pass what they see. The store keeps it for them: the filter
// is not asked about what older ones see, and the young ones stay with the state
// from before the run. A reader that opens beside the run gets a state and a
// header of one moment; and what the run relies on was in the header before.
//
// A deletion that nothing newer hides is not dropped here, even at the bottom:
// an older version may lie above it, written late or moved down slower, or may
// be one that the filter is not asked about, since an older snapshot sees it. It
// is noted instead, for removeDead to look at all versions of its key.
type discardFilter struct{ s *Space }

// Begin implements db.CompactionFilter.
func (f discardFilter) Begin(db.FilterRun) db.FilterFunc {
	discard := f.s.effective()
	if discard == 0 {
		return nil
	}
	var key []byte // whose newest version at or below discard was met, as a prefix
	return func(e *db.FilterEntry) (db.FilterDecision, error) {
		prefix, ts, ok := split(e.Key)
		if !ok || ts > discard {
			return db.FilterKeep, nil // the header; damage, which reads report
		}
		if bytes.Equal(prefix, key) {
			return db.FilterDrop, nil
		}
		key = append(key[:0], prefix...)
		if e.ValueSize() == 0 {
			f.s.noteDead(prefix)
		}
		return db.FilterKeep, nil
	}
}

// deadKeys are keys whose newest version below the discard timestamp seems to
// be a deletion, as prefixes.
type deadKeys struct {
	prefixes map[string]struct{}
	bytes    int
}

// deadBytesMax bounds the memory of deadKeys. What is beyond is met again by a
// later compaction.
const (
	deadBytesMax = 4 << 20
	deadOverhead = 48 // of one key in the map
)

// noteDead notes a key for removeDead.
func (s *Space) noteDead(prefix []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := &s.dead
	size := len(prefix) + deadOverhead
	if _, known := d.prefixes[string(prefix)]; known || d.bytes+size > deadBytesMax {
		return
	}
	if d.prefixes == nil {
		d.prefixes = make(map[string]struct{})
	}
	d.prefixes[string(prefix)] = struct{}{}
	d.bytes += size
}
