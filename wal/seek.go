package wal

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
)

// seekTriesMax bounds how often a search starts again because a segment was
// removed under it. Each time a newer segment has become the oldest.
const seekTriesMax = 1000

// seek finds the place where a Reader starts:
//
//  1. List the segments. Those that count are the newest and what is below it
//     without a gap: what lies below one came back after a crash.
//  2. Find the segment, by the start LSNs in headers or by the sequence numbers
//     of first records, with a binary search.
//  3. If a segment vanishes meanwhile, start again.
func (r *Reader) seek(from Position, limit uint64) error {
	for range seekTriesMax {
		err := r.seekOnce(from, limit)
		if !errors.Is(err, errVanished) {
			return err
		}
	}
	return fmt.Errorf("%w: segments go faster than they can be searched", ErrGone)
}

func (r *Reader) seekOnce(from Position, limit uint64) error {
	segs, err := r.segments()
	switch {
	case err != nil:
		return err
	case from.LSN != 0:
		return r.seekLSN(from.LSN, segs)
	}
	return r.seekSeq(from.Seq, limit, segs)
}

// segments returns the segments that count, at least one.
func (r *Reader) segments() ([]base.SegmentNum, error) {
	nums, err := List(r.opts.FS, r.opts.Dir)
	if err != nil {
		return nil, err
	}
	if len(nums) == 0 {
		return nil, fmt.Errorf("%w: there is no segment", ErrGone)
	}
	first, last := len(nums)-1, len(nums)-1
	for first > 0 && nums[first-1]+1 == nums[first] {
		first--
	}
	if first == last {
		return nums[first:], nil
	}
	// The newest may be in the making. A seal leads to it when it is made, and
	// whoever follows that checks it.
	_, err = r.header(nums[last])
	if _, ok := errors.AsType[*base.CorruptionError](err); ok {
		return nums[first:last], nil
	}
	return nums[first:], err
}

// seekLSN goes to an LSN.
func (r *Reader) seekLSN(lsn uint64, segs []base.SegmentNum) error {
	var h record.FileHeader
	i, err := lastOf(len(segs), func(i int) (_ bool, err error) {
		h, err = r.header(segs[i])
		return h.StartLSN <= lsn, err
	})
	if err != nil {
		return err
	}
	if i >= 0 {
		r.stand(segs[i], lsn)
		return r.load()
	}
	// The last header that was looked at is that of the oldest segment.
	if !nothingBetween(1, h.StartLSN-lsn, false) {
		return fmt.Errorf("%w: what is before %s is needed", ErrGone, fileName(segs[0]))
	}
	r.stand(segs[0], h.StartLSN)
	return r.load()
}

// seekSeq goes to the segment that holds a sequence number.
func (r *Reader) seekSeq(seq base.SeqNum, limit uint64, segs []base.SegmentNum) error {
	i := -1
	if seq > 0 {
		var err error
		i, err = lastOf(len(segs), func(i int) (bool, error) {
			first, any, err := r.firstSeq(segs[i:], limit)
			return any && first <= seq, err
		})
		if err != nil {
			return err
		}
	}
	seg := segs[max(i, 0)]
	h, err := r.header(seg)
	switch {
	case err != nil:
		return err
	case i < 0 && h.StartLSN != 0:
		return fmt.Errorf("%w: what is before %s is needed", ErrGone, fileName(seg))
	}
	r.stand(seg, h.StartLSN)
	return r.load()
}

// firstSeq returns the sequence number of the first record in segs before the
// limit. any is false if there is none.
func (r *Reader) firstSeq(segs []base.SegmentNum, limit uint64) (first base.SeqNum, any bool, err error) {
	for _, seg := range segs {
		h, err := r.header(seg)
		if err != nil {
			return 0, false, err
		}
		r.stand(seg, h.StartLSN)
		for r.seg == seg { // until its seal leads away
			rec, ok, err := r.next(limit)
			if err != nil || !ok {
				return 0, false, err
			}
			if rec.Type == typeCommits {
				if first, _, err = seqRange(rec.Payload); err != nil {
					return 0, false, r.undecodable(rec, err)
				}
				return first, true, nil
			}
			if _, err := r.judge(rec); err != nil {
				return 0, false, err
			}
			if err := r.pass(rec); err != nil {
				return 0, false, err
			}
		}
	}
	return 0, false, nil
}

// lastOf returns the last i in [0, n) for which holds is true, as it then is for
// all before. If there is none, the result is -1, and holds was asked about 0
// last.
//
// Where a binary search meets damage, it goes down from the end instead: a
// retained segment that was damaged is in nobody's way who starts behind it.
func lastOf(n int, holds func(i int) (bool, error)) (int, error) {
	i, err := bisect(n, holds)
	if _, ok := errors.AsType[*base.CorruptionError](err); !ok {
		return i, err
	}
	for i := n - 1; i >= 0; i-- {
		if ok, err := holds(i); ok || err != nil {
			return i, err
		}
	}
	return -1, nil
}

// bisect is lastOf by binary search.
func bisect(n int, holds func(i int) (bool, error)) (int, error) {
	lo, hi := 0, n // it holds before lo, and not from hi on
	for lo < hi {
		mid := lo + (hi-lo)/2
		ok, err := holds(mid)
		if err != nil {
			return 0, err
		}
		if ok {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1, nil
}

// leap goes on in the oldest segment there is, since the one in which the reader
// stands is gone, if nothing that matters was between.
func (r *Reader) leap() error {
	for range seekTriesMax {
		segs, err := r.segments()
		var h record.FileHeader
		if err == nil {
			if segs[0] <= r.seg {
				break // it came and went: nobody does that
			}
			h, err = r.header(segs[0])
		}
		if errors.Is(err, errVanished) {
			continue
		}
		if err != nil {
			return err
		}
		if h.StartLSN < r.lsn || !nothingBetween(uint64(segs[0]-r.seg), h.StartLSN-r.lsn, r.fresh) {
			break
		}
		r.stand(segs[0], h.StartLSN)
		return nil
	}
	return fmt.Errorf("%w: %s is needed", ErrGone, fileName(r.seg))
}

// nothingBetween reports whether so many bytes, from the start of a segment (if
// fresh) or a border behind its header to the start of the one that comes segs
// after it, are too few for any commits: seals and headers take that much, and
// one proof may have been there too.
func nothingBetween(segs, bytes uint64, fresh bool) bool {
	if segs > bytes/sealRecordLen { // the products cannot overflow then
		return false
	}
	headers := segs - 1
	if fresh {
		headers++
	}
	empty := segs*sealRecordLen + headers*record.HeaderLen
	return bytes == empty || bytes == empty+record.RecordHeaderLen
}
