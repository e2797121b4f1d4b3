package db

import (
	"math"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/wal"
)

// retention keeps the log, and the values that it points at, for change feeds
// after tables have made them needless:
//
//   - WAL segments are removed only when what is newer than them takes more
//     than its share: see keptFrom.
//   - Value-log files that hold values of commits from low on are not
//     collected, though they may hold garbage, which then counts for nothing.
type retention struct {
	low atomic.Uint64 // first sequence number whose values are kept; MaxUint64: none

	always bool // keeps also while no feed is open; immutable after Open

	excess atomic.Bool // the last feed has gone: less is to be kept

	mu       sync.Mutex // guards what follows; a leaf
	segments map[base.SegmentNum]segmentStart
	lastSeqs map[base.FileNum]base.SeqNum // of value-log files: no commit beyond it points into them
	openSeq  base.SeqNum                  // no earlier opening wrote beyond it
	openLSN  uint64                       // likewise
	scanned  bool                         // segments of earlier openings have been looked at
	scans    int                          // how often that was tried
	feeds    map[*Feed]*handle
}

// segmentStart is what was known when a segment began.
type segmentStart struct {
	seq    base.SeqNum // of the first operation to come
	values uint64      // value-log bytes written so far
}

// feedBytesOpen is how much is kept for feeds that are open, at least.
const feedBytesOpen = 64 * mib

// feedBytes is how much is kept now.
func (db *DB) feedBytes() int64 {
	r := &db.retained
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.feeds) > 0 {
		return max(db.opts.FeedBytes, feedBytesOpen)
	}
	return db.opts.FeedBytes
}

// beginRetention is called once when the store is opened.
func (db *DB) beginRetention(seq base.SeqNum, lsn uint64) {
	r := &db.retained
	r.segments = make(map[base.SegmentNum]segmentStart)
	r.lastSeqs = make(map[base.FileNum]base.SeqNum)
	r.feeds = make(map[*Feed]*handle)
	r.openSeq, r.openLSN = seq, lsn
	r.always = db.opts.FeedBytes > 0
	if !r.always {
		r.low.Store(math.MaxUint64)
	}
}

// noteSegment notes that segment begins. The caller is the commit side.
func (db *DB) noteSegment(segment base.SegmentNum) {
	r := &db.retained
	r.mu.Lock()
	defer r.mu.Unlock()
	r.segments[segment] = segmentStart{db.w.seq + 1, db.metrics.valueBytes.Load()}
}

// noteSealed notes that a value-log file holds nothing newer than seq.
func (r *retention) noteSealed(file base.FileNum, seq base.SeqNum) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lastSeqs[file] = seq
}

// forget forgets a value-log file that is gone.
func (r *retention) forget(file base.FileNum) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.lastSeqs, file)
}

// holds reports whether feeds may still ask for values of a file.
func (r *retention) holds(logicals []*manifest.VlogMeta) bool {
	low := r.low.Load()
	if low == math.MaxUint64 {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, m := range logicals {
		last, ok := r.lastSeqs[m.Logical]
		if !ok && !r.scanned {
			last = r.openSeq // of an earlier opening: the log may point into it
		}
		if uint64(last) >= low {
			return true
		}
	}
	return false
}

// keptFrom is the first WAL segment to keep, of those that recovery does not
// need because they are below before.
func (db *DB) keptFrom(before base.SegmentNum) (base.SegmentNum, error) {
	r := &db.retained
	share := db.feedBytes()
	if share == 0 {
		r.holdNothing()
		r.trim(before)
		return before, nil
	}
	sizes, err := wal.Sizes(db.fs, db.dir)
	if err != nil {
		return 0, err
	}
	if err := db.scanOldSegments(sizes); err != nil {
		return 0, err
	}
	r.mu.Lock()
	end := segmentStart{values: db.metrics.valueBytes.Load()}
	if s, ok := r.segments[before]; ok {
		end = s
	}
	from, sum := before, int64(0)
	for i := len(sizes) - 1; i >= 0; i-- {
		s := sizes[i]
		start, known := r.segments[s.Num]
		if s.Num >= before {
			continue
		}
		if !known || s.Num+1 != from {
			break
		}
		sum += s.Bytes + int64(end.values-start.values)
		if sum > share {
			break
		}
		from, end = s.Num, start
	}
	low := uint64(0)
	if s, ok := r.segments[from]; ok {
		low = uint64(s.seq)
	}
	r.mu.Unlock()
	r.low.Store(low)
	r.holdNothing() // if the last feed went meanwhile
	r.trim(from)
	return from, nil
}

// shedLog removes what the log keeps for feeds that are gone.
func (db *DB) shedLog() {
	if !db.retained.excess.Swap(false) {
		return
	}
	_, before := db.recoversFrom()
	db.retireSegments(before)
	db.broadcast() // value-log files may be collected now
}

// holdNothing lets go of all values if no feed was opened meanwhile.
func (r *retention) holdNothing() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.feeds) == 0 && !r.always {
		r.low.Store(math.MaxUint64)
	}
}

// trim forgets segments before from.
func (r *retention) trim(from base.SegmentNum) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for segment := range r.segments {
		if segment < from {
			delete(r.segments, segment)
		}
	}
}
