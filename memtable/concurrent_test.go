package memtable

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// One goroutine applies commits, each of which sets every one of some keys to
// its own number. Readers check that at the number published when they started
// they see exactly one commit, whatever way they read.
func TestReadersSeeWhatWasPublishedWhileCommitsGoOn(t *testing.T) {
	const keys, commits, readers = 40, 400, 4
	for _, style := range []string{"user/%05d", "%d"} {
		m := New(Options{})
		var published atomic.Uint64
		var reads atomic.Int64
		var wg sync.WaitGroup
		stop := make(chan struct{})
		for r := range readers {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(uint64(r), 7))
				for {
					select {
					case <-stop:
						return
					default:
					}
					if n := published.Load(); n > 0 {
						readCommit(t, rng, m, style, keys, n)
						reads.Add(1)
					}
				}
			})
		}
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					_, _, _, _, _ = m.Bytes(), m.Entries(), m.Deletes(), m.VlogBytes(), m.SkipHint()
					if m.MinSeq() > m.MaxSeq() && !m.Empty() {
						t.Error("smallest sequence number above the largest")
					}
				}
			}
		})
		var ops []byte
		for c := 1; c <= commits; c++ {
			ops = ops[:0]
			for k := range keys {
				ops = base.AppendOp(ops, base.Op{Kind: base.KindSet, Key: fmt.Appendf(nil, style, k), Payload: fmt.Appendf(nil, "commit %d", c)})
			}
			ops = base.AppendOp(ops, base.Op{Kind: base.KindRangeDelete, Key: []byte("a"), Payload: []byte("b")})
			if _, _, err := m.Apply(base.SeqNum((c-1)*(keys+1)+1), ops); err != nil {
				t.Fatal(err)
			}
			published.Store(uint64(c))
			if c%100 == 0 { // on a slow machine readers have to get their turn
				testkit.Until(t, func() bool { return reads.Load() >= int64(c/20) }, func() string { return "nobody reads" })
			}
		}
		close(stop)
		wg.Wait()
		m.Release()
	}
}

func readCommit(t *testing.T, rng *rand.Rand, m *Memtable, style string, keys int, commit uint64) {
	visible := base.SeqNum(commit * uint64(keys+1))
	want := fmt.Appendf(nil, "commit %d", commit)
	for range 20 {
		k := fmt.Appendf(nil, style, rng.IntN(keys))
		if _, payload, ok := m.Get(k, visible); !ok || !bytes.Equal(payload, want) {
			t.Errorf("Get(%q) at commit %d = %q, %v", k, commit, payload, ok)
			return
		}
	}
	if got := m.RangeDels().CoveringSeq([]byte("a"), visible); got != visible {
		t.Errorf("range delete %d visible at %d", got, visible)
	}
	it := m.NewIter()
	defer it.Close()
	move, restart, down := it.Next, it.First, rng.IntN(2) == 0
	if down {
		move, restart = it.Prev, it.Last
	}
	seen := map[string]string{}
	var last base.InternalKey
	for ok := restart(); ok; ok = move() {
		k := it.Key()
		if c := k.Compare(last); last.User != nil && (c == 0 || (c > 0) == down) {
			t.Errorf("%v comes after %v", k, last)
			return
		}
		last = k
		if k.Trailer.SeqNum() <= visible && k.Trailer.SeqNum() > visible-base.SeqNum(keys)-1 {
			if _, again := seen[string(k.User)]; again {
				t.Errorf("%v seen twice", k)
			}
			seen[string(k.User)] = string(it.Value())
		}
	}
	if len(seen) != keys {
		t.Errorf("a cursor saw %d of %d keys of commit %d", len(seen), keys, commit)
	}
	for k, v := range seen {
		if v != string(want) {
			t.Errorf("a cursor saw %q = %q at commit %d", k, v, commit)
		}
	}
}

// More goroutines than there are slots for probes look up at once.
func TestManyConcurrentLookups(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	for i := range 3000 {
		b.add(base.KindSet, fmt.Appendf(nil, "a long common prefix/%d", i), fmt.Appendf(nil, "%d", i))
	}
	b.commit(t, m, 1)
	var wg sync.WaitGroup
	for g := range 4 * probeSlots {
		wg.Go(func() {
			for i := g; i < 3000; i += 7 {
				_, v, ok := m.Get(fmt.Appendf(nil, "a long common prefix/%d", i), base.SeqNumMax)
				if !ok || string(v) != fmt.Sprint(i) {
					t.Errorf("%d: %q, %v", i, v, ok)
					return
				}
			}
		})
	}
	wg.Wait()
}
