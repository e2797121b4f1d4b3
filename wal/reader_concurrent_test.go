package wal

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// TestReadersRunBesideTheLog has one appender that rotates, a syncer, a remover
// that keeps few segments, and readers, fast and slow, up to the end of what is
// appended or of what is synced. Each sees every record once, in order, or is
// told that it fell behind; then it starts anew where it was or later.
func TestReadersRunBesideTheLog(t *testing.T) {
	m := newMem(t)
	l, err := Create(testOptions(m), 1, 0)
	must(t, err)
	const records = 1500
	var done atomic.Bool
	var published atomic.Uint64 // sequence numbers up to this one are below EndLSN
	var wg sync.WaitGroup
	wg.Go(func() {
		for !done.Load() {
			if _, err := l.Sync(); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(100 * time.Microsecond)
		}
	})
	wg.Go(func() {
		for !done.Load() {
			if seg := l.Segment(); seg > 4 {
				l.Retire(seg - 3)
				if _, err := Remove(m, testDir, seg-3); err != nil {
					t.Error(err)
					return
				}
			}
			time.Sleep(100 * time.Microsecond)
		}
	})
	var gone, delivered atomic.Int64
	for i := range 4 {
		wg.Go(func() {
			limit := l.EndLSN
			if i%2 == 1 {
				limit = l.DurableLSN
			}
			v := view{t: t, l: l, limit: limit, delivered: &delivered, rng: rand.New(rand.NewPCG(uint64(i), 1)), slow: i >= 2}
			v.run(&done, &published, records)
			gone.Add(int64(v.gone))
		})
	}
	rng := rand.New(rand.NewPCG(3, 4))
	for i := range records {
		_, err := l.Append(commits(base.SeqNum(i+1), rng.IntN(400), 1))
		must(t, err)
		published.Store(uint64(i + 1))
		if rng.IntN(40) == 0 {
			must(t, l.Rotate(l.Segment()+1))
		}
		if rng.IntN(30) == 0 {
			must(t, l.WriteProof())
		}
		if i%25 == 0 {
			time.Sleep(time.Millisecond) // so that readers get somewhere
		}
		if i == 0 { // on a slow machine, too, before they can fall behind
			testkit.Until(t, func() bool { return delivered.Load() > 0 || t.Failed() }, func() string { return "nothing was delivered" })
		}
	}
	_, err = l.Sync()
	must(t, err)
	done.Store(true)
	wg.Wait()
	t.Logf("%d records delivered to 4 readers, which fell behind %d times", delivered.Load(), gone.Load())
	must(t, l.Close())
	if m.OpenHandles() != 0 {
		t.Fatalf("%d open files", m.OpenHandles())
	}
}

// view is one reader's.
type view struct {
	t     *testing.T
	l     *Log
	limit func() uint64
	rng   *rand.Rand
	slow  bool

	next      base.SeqNum // that must come
	gone      int
	delivered *atomic.Int64
}

func (v *view) run(done *atomic.Bool, published *atomic.Uint64, records base.SeqNum) {
	v.next = 1
	opts := ReaderOptions{FS: v.l.opts.FS, Dir: testDir}
	limit := v.limit()
	r, err := OpenReader(opts, Position{}, limit)
	for {
		if errors.Is(err, ErrGone) {
			// It goes on with what is there, at the end of what is published.
			v.gone++
			v.next = base.SeqNum(published.Load()) + 1
			limit = v.l.EndLSN() // may hold more than v.next - 1 by now
			r, err = OpenReader(opts, Position{LSN: limit, Seq: v.next}, limit)
			if err == nil {
				v.next = 0 // whatever comes
			}
			continue
		}
		if err != nil {
			v.t.Error(err)
			return
		}
		finished := done.Load()
		limit = v.limit()
		var rec Record
		var ok bool
		rec, ok, err = r.Next(limit)
		switch {
		case err != nil:
		case ok:
			if !v.check(rec, limit) {
				return
			}
			if v.slow {
				for range v.rng.IntN(200) {
					v.limit()
				}
			}
			if v.rng.IntN(50) == 0 { // resume, by one or the other
				from := Position{LSN: rec.EndLSN}
				if v.next <= base.SeqNum(published.Load()) && v.rng.IntN(2) == 0 && limit == v.l.EndLSN() {
					from = Position{Seq: v.next}
				}
				r, err = OpenReader(opts, from, limit)
			}
		case finished:
			if v.next != records+1 && v.next != 0 {
				v.t.Errorf("the end, and %d did not come", v.next)
			}
			return
		default:
			time.Sleep(50 * time.Microsecond)
		}
	}
}

func (v *view) check(rec Record, limit uint64) bool {
	first, last, err := seqRange(rec.Payload)
	if err != nil || v.next != 0 && first != v.next || rec.EndLSN > limit {
		v.t.Errorf("sequence number %d where %d was to come; ends at %d, limit %d, %v", first, v.next, rec.EndLSN, limit, err)
		return false
	}
	if body := rec.Payload[base.CommitHeaderLen:]; !bytes.Equal(body, bytes.Repeat([]byte{byte(first)}, len(body))) {
		v.t.Errorf("record %d is not what was written", first)
		return false
	}
	v.next = last + 1
	v.delivered.Add(1)
	return true
}
