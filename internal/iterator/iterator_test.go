package iterator

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

var errInjected = errors.New("injected")

// faulty fails the positioning call that brings the shared countdown to zero,
// and keeps the rules of Iterator about what comes after.
type faulty struct {
	Iterator
	countdown *int
	failed    *bool // set when any iterator that shares it fails
	err       error
	closeErr  error
	closed    int
}

func (f *faulty) restart(move func() bool) bool {
	f.err = nil
	return f.step(move)
}

func (f *faulty) step(move func() bool) bool {
	if f.err != nil {
		return false
	}
	if *f.countdown > 0 {
		if *f.countdown--; *f.countdown == 0 {
			f.err, *f.failed = errInjected, true
			return false
		}
	}
	return move()
}

func (f *faulty) First() bool { return f.restart(f.Iterator.First) }
func (f *faulty) Last() bool  { return f.restart(f.Iterator.Last) }
func (f *faulty) Next() bool  { return f.step(f.Iterator.Next) }
func (f *faulty) Prev() bool  { return f.step(f.Iterator.Prev) }
func (f *faulty) SeekGE(user []byte, t base.Trailer) bool {
	return f.restart(func() bool { return f.Iterator.SeekGE(user, t) })
}
func (f *faulty) SeekLT(user []byte) bool {
	return f.restart(func() bool { return f.Iterator.SeekLT(user) })
}
func (f *faulty) Err() error { return f.err }
func (f *faulty) Close() error {
	f.closed++
	return errors.Join(f.err, f.closeErr)
}

// model is the order that an Iterator over entries must show, by the plainest
// means.
type model struct {
	entries []Entry
	pos     int
}

func (m *model) seekGE(user []byte, trailer base.Trailer) {
	for m.pos = 0; m.pos < len(m.entries); m.pos++ {
		if m.entries[m.pos].Key.Compare(base.InternalKey{User: user, Trailer: trailer}) >= 0 {
			return
		}
	}
}

func (m *model) seekLT(user []byte) {
	for m.pos = len(m.entries) - 1; m.pos >= 0; m.pos-- {
		if bytes.Compare(m.entries[m.pos].Key.User, user) < 0 {
			return
		}
	}
}

// randomEntries makes n entries with few user keys and so many versions each,
// or many user keys; keys shorter and longer than eight bytes, and alike in
// their first eight.
func randomEntries(rng *rand.Rand, n int) []Entry {
	seqs := rng.Perm(n * 2)
	distinct := 1 + rng.IntN(2*n+1)
	grouped := rng.IntN(3) == 0
	entries := make([]Entry, n)
	for i := range entries {
		entries[i] = Entry{
			Key: base.InternalKey{
				User:    randomKey(rng, distinct),
				Trailer: base.MakeTrailer(base.SeqNum(seqs[i]+1), base.Kind(rng.IntN(3))),
			},
			Value: fmt.Appendf(nil, "v%d", i),
		}
	}
	if grouped { // a long prefix for a while, then another
		for i := range entries {
			entries[i].Key.User = fmt.Appendf(nil, "longprefix/%d/%s", rng.IntN(3), entries[i].Key.User)
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return a.Key.Compare(b.Key) })
	return entries
}

func randomKey(rng *rand.Rand, distinct int) []byte {
	switch x := rng.IntN(distinct); x % 4 {
	case 0:
		return fmt.Appendf(nil, "%d", x)
	case 1:
		return fmt.Appendf(nil, "longprefix%03d", x)
	case 2:
		return append([]byte("k"), make([]byte, x%9)...) // differ in trailing zeros only
	default:
		return fmt.Appendf(nil, "longpref%d", x)
	}
}

// deal spreads entries over n sources, in runs so that one of them often stays
// the nearest.
func deal(rng *rand.Rand, entries []Entry, n int) [][]Entry {
	out := make([][]Entry, n)
	to := 0
	for _, e := range entries {
		if n > 1 && rng.IntN(3) == 0 {
			to = rng.IntN(n)
		}
		out[to] = append(out[to], e)
	}
	return out
}

// drive makes random calls to it and compares each with the model. failed, if
// not nil, says that an error was injected during the call; rearm injects the
// next one.
func drive(t *testing.T, rng *rand.Rand, it Iterator, entries []Entry, steps int, failed *bool, rearm func()) {
	t.Helper()
	m := &model{entries: entries}
	stopped := false // by an error
	drift := rng.IntN(2)
	for step := range steps {
		var ok bool
		op := rng.IntN(40)
		if step == 0 {
			op %= 4
		}
		if rng.IntN(20) == 0 {
			drift = rng.IntN(2)
		}
		repositioned := op < 4
		switch op {
		case 0:
			ok, m.pos = it.First(), 0
		case 1:
			ok, m.pos = it.Last(), len(entries)-1
		case 2:
			user, trailer := randomKey(rng, 2*len(entries)+1), base.SeekTrailer(base.SeqNum(rng.IntN(2*len(entries)+2)))
			if rng.IntN(2) == 0 && len(entries) > 0 {
				k := entries[rng.IntN(len(entries))].Key
				user, trailer = k.User, k.Trailer-base.Trailer(rng.IntN(2))
			}
			ok = it.SeekGE(user, trailer)
			m.seekGE(user, trailer)
		case 3:
			user := randomKey(rng, 2*len(entries)+1)
			ok = it.SeekLT(user)
			m.seekLT(user)
		default:
			if (op%4 == 0) == (drift == 0) {
				ok, m.pos = it.Next(), min(m.pos+1, len(entries))
			} else {
				ok, m.pos = it.Prev(), max(m.pos-1, -1)
			}
		}
		if failed != nil && *failed {
			*failed = false
			if ok || !errors.Is(it.Err(), errInjected) {
				t.Fatalf("step %d: error of a source not reported: %v, %v", step, ok, it.Err())
			}
			stopped = true
			rearm()
			continue
		}
		if repositioned {
			stopped = false
		}
		if stopped {
			if ok {
				t.Fatalf("step %d: a stopped iterator moved", step)
			}
			continue
		}
		if err := it.Err(); err != nil {
			t.Fatalf("step %d: unexpected error %v", step, err)
		}
		if want := m.pos >= 0 && m.pos < len(entries); ok != want {
			t.Fatalf("step %d (op %d): on an entry: %v, want %v (at %d of %d)", step, op, ok, want, m.pos, len(entries))
		}
		if !ok {
			continue
		}
		want := entries[m.pos]
		if got := it.Key(); got.Compare(want.Key) != 0 || !bytes.Equal(it.Value(), want.Value) {
			t.Fatalf("step %d (op %d): at %v = %s, want %v = %s", step, op, got, it.Value(), want.Key, want.Value)
		}
	}
}

func TestSliceFollowsTheContract(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		entries := randomEntries(rng, rng.IntN(30))
		it := NewSlice(entries)
		drive(t, rng, it, entries, 300, nil, nil)
		if err := it.Close(); err != nil || t.Failed() {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestMergingShowsTheUnionInOrder(t *testing.T) {
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 2))
		n := rng.IntN(6)
		if rng.IntN(8) == 0 {
			n = 5 + rng.IntN(30)
		}
		var entries []Entry
		if n > 0 {
			entries = randomEntries(rng, rng.IntN(80))
		}
		var iters []Iterator
		for _, part := range deal(rng, entries, n) {
			iters = append(iters, NewSlice(part))
		}
		if rng.IntN(3) == 0 && n > 2 { // of Mergings
			iters = []Iterator{NewMerging(iters[:n/2]...), NewMerging(iters[n/2:]...)}
		}
		it := NewMerging(iters...)
		drive(t, rng, it, entries, 400, nil, nil)
		if err := it.Close(); err != nil || t.Failed() {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func TestMergingStopsAtTheErrorOfAnySource(t *testing.T) {
	injected := 0
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 3))
		n := 1 + rng.IntN(6)
		entries := randomEntries(rng, rng.IntN(60))
		var countdown int
		var failed bool
		rearm := func() { countdown = 1 + rng.IntN(40*n); injected++ }
		rearm()
		var iters []Iterator
		for _, part := range deal(rng, entries, n) {
			iters = append(iters, &faulty{Iterator: NewSlice(part), countdown: &countdown, failed: &failed})
		}
		it := NewMerging(iters...)
		drive(t, rng, it, entries, 400, &failed, rearm)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		countdown = 0
		if stopped, err := it.Err(), it.Close(); (stopped != nil) != (err != nil) || !errors.Is(err, stopped) {
			t.Fatalf("seed %d: stopped by %v, Close returned %v", seed, stopped, err)
		}
		for _, c := range iters {
			if c.(*faulty).closed != 1 {
				t.Fatalf("seed %d: a source was closed %d times", seed, c.(*faulty).closed)
			}
		}
	}
	t.Logf("%d errors injected", injected)
}

// forgetful loses its error when it is closed.
type forgetful struct{ *faulty }

func (f forgetful) Close() error { return nil }

func TestMergingCloseJoinsAllErrors(t *testing.T) {
	errA, errB := errors.New("a"), errors.New("b")
	never, failed := 0, false
	a := &faulty{Iterator: NewSlice(nil), countdown: &never, failed: &failed, closeErr: errA}
	b := &faulty{Iterator: NewSlice(nil), countdown: &never, failed: &failed, closeErr: errB}
	if err := NewMerging(a, NewSlice(nil), b).Close(); !errors.Is(err, errA) || !errors.Is(err, errB) {
		t.Fatalf("Close returned %v", err)
	}
	one := 1
	c := forgetful{&faulty{Iterator: NewSlice(nil), countdown: &one, failed: &failed}}
	m := NewMerging(c, NewSlice(nil))
	if m.First() || !errors.Is(m.Close(), errInjected) {
		t.Fatal("Close forgot the error that stopped the walk")
	}
}

func TestMergingOfNothingIsEmpty(t *testing.T) {
	m := NewMerging()
	if m.First() || m.Last() || m.Next() || m.Prev() || m.SeekGE([]byte("a"), 0) || m.SeekLT([]byte("a")) {
		t.Fatal("found an entry in nothing")
	}
	if m.Err() != nil || m.Close() != nil {
		t.Fatal("found an error in nothing")
	}
}

func TestMergingDoesNotMoveBeforeItIsPositioned(t *testing.T) {
	e := []Entry{{Key: base.InternalKey{User: []byte("a"), Trailer: 1}}}
	f := []Entry{{Key: base.InternalKey{User: []byte("b"), Trailer: 1}}}
	if m := NewMerging(NewSlice(e), NewSlice(f)); m.Next() || m.Prev() {
		t.Fatal("moved")
	}
}

// Sources that break the rule that no key is in two of them must not hang or
// panic: a damaged database may hold such tables.
func TestMergingSurvivesAKeyInTwoSources(t *testing.T) {
	e := []Entry{{Key: base.InternalKey{User: []byte("a"), Trailer: 1}}, {Key: base.InternalKey{User: []byte("b"), Trailer: 1}}}
	m := NewMerging(NewSlice(e), NewSlice(e), NewSlice(e))
	n := 0
	for ok := m.First(); ok; ok = m.Next() {
		n++
	}
	for ok := m.Last(); ok; ok = m.Prev() {
		n++
	}
	if n != 12 {
		t.Fatalf("%d entries", n)
	}
}

func TestWindowNeverChangesTheOrderOfKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	random := func() []byte {
		b := make([]byte, rng.IntN(14))
		for i := range b {
			b[i] = "\x00\x01\x7f\xff"[max(0, rng.IntN(8)-4)]
		}
		return b
	}
	for range 100_000 {
		var w window
		c := random()
		w.choose(c, append(c[:len(c):len(c)], random()...), direction(1+rng.IntN(2)))
		a, b := random(), random()
		if rng.IntN(2) == 0 {
			a = append(c[:len(c):len(c)], a...)
		}
		if (bytes.Compare(a, b) > 0) == (w.flip == 0) {
			a, b = b, a // in the order of the walk
		}
		if w.prefix(a) > w.prefix(b) && !bytes.Equal(a, b) {
			t.Fatalf("skip %q, flip %x: %q and %q have prefixes %x and %x", w.skip, w.flip, a, b, w.prefix(a), w.prefix(b))
		}
	}
}
