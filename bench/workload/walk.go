package workload

import "fmt"

// walk checks the entries of a scan.
//
// A scan sees the store as it was when its cursor was opened. If nobody writes
// meanwhile, what must be there is what the Model says. Beside writers it is what
// the Model said before, so the walk samples, ahead of the scan, the keys from its
// beginning up to the last one that it can come to: as many as it will show at
// most are there for certain. Samples end after sampleMax keys; beyond, in ranges
// where nearly all keys are deleted, entries are checked for themselves only.
type walk struct {
	m     *Model
	next  uint64 // the key that comes next, or a later one
	end   uint64 // the first key past the walk; MaxUint64 downwards
	step  int
	quiet bool // nobody writes
	began uint32
	from  uint64
	taken []before // of from, from+step, …
}

const sampleMaxFactor, sampleMaxMore = 64, 4096

// begin prepares for a scan from key next to before end, of at most entries.
func (w *walk) begin(next, end uint64, step, entries int) {
	w.next, w.end, w.step, w.from = next, end, step, next
	w.taken = w.taken[:0]
	if w.quiet {
		return
	}
	most := entries*sampleMaxFactor + sampleMaxMore
	for i := next; i != end && entries > 0 && len(w.taken) < most; i += uint64(step) {
		b := w.m.sample(i)
		w.taken = append(w.taken, b)
		if b.version != 0 && w.m.words[i].deleted.Load() < b.version {
			entries--
		}
	}
}

// sample is what was acknowledged of key i before the scan, if it is known.
func (w *walk) sample(i uint64) (b before, known bool) {
	if w.quiet {
		return w.m.sample(i), true
	}
	at := i - w.from
	if w.step < 0 {
		at = w.from - i
	}
	if at >= uint64(len(w.taken)) {
		return before{}, false
	}
	return w.taken[at], true
}

// skipTo checks that the keys from next up to i may be missing.
func (w *walk) skipTo(i uint64, how string) error {
	for w.next != i {
		if w.quiet {
			if w.next = w.m.nextLive(w.next, w.step); w.past(i) {
				w.next = i
				return nil
			}
		}
		b, known := w.sample(w.next)
		if !known {
			w.next = i
			return nil
		}
		if err := w.m.checkAbsent(w.next, b, how); err != nil {
			return err
		}
		w.next += uint64(w.step)
	}
	return nil
}

// past tells whether next has reached i or gone beyond it.
func (w *walk) past(i uint64) bool {
	if w.step > 0 {
		return w.next >= i
	}
	return w.next+1 <= i+1 // below key 0 comes MaxUint64
}

// see checks one entry. over tells that it is the first after the walk's keys, of
// those that belong to other workloads.
func (w *walk) see(key, value []byte) (over bool, err error) {
	number, ours := w.m.keys.number(key)
	i := number / 2
	switch {
	case w.m.keys.apart(key):
		return true, nil
	case !ours || number%2 != 0 || i >= uint64(len(w.m.words)):
		return false, &WrongAnswer{Key: string(key), Problem: "the scan shows it; it was never written"}
	case w.outside(i):
		return false, &WrongAnswer{Key: string(key), Problem: fmt.Sprintf("the scan shows it out of order or outside of its range: %s", w.expected())}
	}
	if err := w.skipTo(i, "the scan left it out"); err != nil {
		return false, err
	}
	w.next += uint64(w.step)
	b, known := w.sample(i)
	if !known && w.m.starts != nil {
		b.start = 0
	}
	if w.quiet && !w.m.live(i) {
		return false, w.m.wrong(presentNumber(i), "the scan shows it; it is deleted or was never written")
	}
	return false, w.m.checkValue(i, b, w.began, value)
}

// outside tells whether key i may not come any more.
func (w *walk) outside(i uint64) bool {
	if w.next == w.end {
		return true
	}
	if w.step > 0 {
		return i < w.next || i >= w.end
	}
	return i > w.next || i+1 <= w.end+1
}

func (w *walk) expected() string {
	if w.next == w.end {
		return "it had come to its end"
	}
	return fmt.Sprintf("it had come to %q", w.m.keys.append(nil, presentNumber(w.next)))
}

// finish checks that a scan that has no more entries did not end early.
func (w *walk) finish() error { return w.skipTo(w.end, "the scan ended before it") }
