package trace

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	_ "github.com/cordwood-db/cordwood/bench/engine/cordwood"
	"github.com/cordwood-db/cordwood/bench/engine/enginetest"
	"github.com/cordwood-db/cordwood/bench/workload"
	"github.com/cordwood-db/cordwood/db"
)

const allAbilities = engine.Merge | engine.TTL | engine.Transactions

func openEngine(t testing.TB, e *engine.Engine) engine.Store {
	t.Helper()
	o := engine.DefaultOptions()
	o.Dir, o.MemtableBytes, o.CacheBytes = t.TempDir(), 4<<20, 16<<20
	store, err := e.Open(o)
	must(t, err)
	t.Cleanup(func() { store.Close() })
	return store
}

func memoryStore(t testing.TB) engine.Store { return openEngine(t, enginetest.Memory()) }

// tally is what the clients of a replay did.
type tally struct {
	mu       sync.Mutex
	ops      uint64
	notFound uint64
	checked  int
	items    int
	err      error
}

// play does a replay to its end, without keeping its due times.
func play(r *Replay, preload bool) *tally {
	out := &tally{}
	if preload {
		if out.err = r.Preload(context.Background(), nil); out.err != nil {
			return out
		}
	}
	var wg sync.WaitGroup
	for i := range r.o.Threads {
		c, err := r.Client(i)
		if err != nil {
			out.err = err
			return out
		}
		wg.Go(func() {
			err := playClient(c, out)
			err = errors.Join(err, c.Close())
			out.mu.Lock()
			out.err = errors.Join(out.err, err)
			out.mu.Unlock()
		})
	}
	wg.Wait()
	out.err = errors.Join(out.err, r.Finish(out.err != nil))
	return out
}

func playClient(c workload.Client, out *tally) error {
	for {
		_, _, more := c.Prepare()
		if !more {
			return nil
		}
		o, err := c.Execute()
		if err != nil {
			return err
		}
		if err := c.Verify(); err != nil {
			return err
		}
		out.mu.Lock()
		out.ops++
		out.checked += o.Checked
		out.items += o.Items
		if o.NotFound {
			out.notFound++
		}
		out.mu.Unlock()
	}
}

// writeOps writes a trace of these operations, which are in the order of their
// ends.
func writeOps(t testing.TB, hashed bool, ops []Op) string {
	t.Helper()
	h := goldenHeader
	h.hashed = hashed
	path := filepath.Join(t.TempDir(), "made.trace")
	must(t, os.WriteFile(path, writeTrace(t, h, ops, 0, true), 0o600))
	return path
}

// application does all kinds of operations on a traced store, as one of several
// goroutines.
func application(t testing.TB, d *DB, spaces []*Keyspace, seed uint64, n int) {
	rng := rand.New(rand.NewPCG(seed, 1))
	key := func() []byte { return fmt.Appendf(nil, "key%03d", min(rng.IntN(200), rng.IntN(200))) }
	value := func() []byte { return make([]byte, rng.IntN(200)) }
	ks := func() *Keyspace { return spaces[rng.IntN(len(spaces))] }
	fine := func(err error) {
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			t.Error(err)
		}
	}
	for range n {
		switch rng.IntN(20) {
		case 0, 1, 2, 3:
			_, err := ks().Get(key())
			fine(err)
		case 4:
			_, err := ks().Has(key())
			fine(err)
		case 5:
			_, err := ks().MultiGet(key(), key(), key())
			fine(err)
		case 6, 7, 8:
			fine(ks().Put(key(), value()))
		case 9:
			fine(ks().Delete(key()))
		case 10:
			b := d.NewBatch()
			for range rng.IntN(6) {
				fine(b.In(ks()).Put(key(), value()))
				fine(b.In(ks()).Delete(key()))
			}
			fine(d.Apply(b, db.NoSync))
		case 11:
			for _, err := range ks().Scan(db.From(key())) {
				if fine(err); rng.IntN(10) == 0 {
					break
				}
			}
		case 12:
			for _, err := range ks().Scan(db.Prefix(k("key1")).Backward()) {
				if fine(err); rng.IntN(10) == 0 {
					break
				}
			}
		case 13:
			c, err := ks().NewCursor(db.All())
			fine(err)
			for on := c.SeekGE(key()); on && rng.IntN(5) != 0; on = c.Next() {
			}
			for on := c.SeekLT(key()); on && rng.IntN(5) != 0; on = c.Prev() {
			}
			fine(c.Close())
		case 14:
			fine(d.Update(context.Background(), func(tx *Tx) error {
				in := tx.In(ks())
				a := key()
				if _, err := in.Get(a); err != nil && !errors.Is(err, db.ErrNotFound) {
					return err
				}
				if err := in.Put(a, value()); err != nil {
					return err
				}
				if _, err := in.Get(a); err != nil {
					return err
				}
				return in.Delete(key())
			}))
		case 15:
			_, err := ks().PutIfAbsent(key(), value())
			fine(err)
		case 16:
			_, err := ks().GetAndDelete(key())
			fine(err)
		case 17:
			fine(d.View(func(tx *Tx) error {
				_, err := tx.Get(key())
				for _, err := range tx.Scan(db.From(key())) {
					if err != nil || rng.IntN(4) == 0 {
						return err
					}
				}
				if errors.Is(err, db.ErrNotFound) {
					return nil
				}
				return err
			}))
		case 18:
			if err := d.Update(context.Background(), func(tx *Tx) error { tx.Put(key(), value()); return errOwn }); err != errOwn {
				t.Error(err)
			}
		case 19:
			if err := ks().PutTTL(k("ttl"+string(key())), value(), time.Hour); err != nil {
				t.Error(err)
			}
		}
	}
}

// recordApplication records several goroutines of it, on a store that has data.
func recordApplication(t testing.TB, hashed bool, threads, n int) string {
	t.Helper()
	store := openStore(t)
	for i := range 100 {
		must(t, store.Put(fmt.Appendf(nil, "key%03d", 2*i), make([]byte, 50+i)))
	}
	path, r := create(t, Options{HashKeys: hashed, BufferBytes: 64 << 20})
	d := Wrap(store, r)
	other, err := d.Keyspace("other", nil)
	must(t, err)
	var wg sync.WaitGroup
	for i := range threads {
		wg.Go(func() { application(t, d.Client(), []*Keyspace{d.Default(), other}, uint64(i), n) })
	}
	wg.Wait()
	must(t, r.Close())
	if r.Dropped() != 0 {
		t.Fatalf("%d operations dropped", r.Dropped())
	}
	return path
}

func TestReplayOfAnApplication(t *testing.T) {
	cord, ok := engine.Find("cordwood")
	if !ok {
		t.Fatal("no engine cordwood")
	}
	for _, hashed := range []bool{false, true} {
		path := recordApplication(t, hashed, 4, 300)
		for _, e := range []*engine.Engine{enginetest.Memory(), cord} {
			for _, threads := range []int{1, 3} {
				t.Run(fmt.Sprintf("%s/%d/hashed=%v", e.Name, threads, hashed), func(t *testing.T) {
					r, err := NewReplay(path, openEngine(t, e), e.Abilities, ReplayOptions{Threads: threads, Verify: true})
					must(t, err)
					got := play(r, true)
					must(t, got.err)
					if got.ops != r.Total() || got.ops < 1000 || got.checked < 450 {
						t.Errorf("%d of %d operations, %d checked; left out: %v", got.ops, r.Total(), got.checked, r.Skipped())
					}
					if len(r.Kinds()) < 12 {
						t.Errorf("kinds %v", r.Kinds())
					}
				})
			}
		}
	}
}

// With one client at a time there is one right order, and a replay gets the
// answers that were recorded.
func TestReplayOfOneClientFindsWhatWasFound(t *testing.T) {
	path := recordApplication(t, false, 1, 1000)
	ops, _ := readAll(t, path)
	var notFound uint64
	for i := range ops {
		if op := &ops[i]; (op.Kind == KindGet || op.Kind == KindHas) && !op.Found {
			notFound++
		}
	}
	for _, threads := range []int{1, 4} {
		r, err := NewReplay(path, memoryStore(t), allAbilities, ReplayOptions{Threads: threads, Verify: true})
		must(t, err)
		got := play(r, true)
		must(t, got.err)
		if got.notFound != notFound || notFound == 0 {
			t.Errorf("%d clients: %d not found, recorded %d", threads, got.notFound, notFound)
		}
	}
}

// watched is a store that notes what is written.
type watched struct {
	engine.Store
	mu  sync.Mutex
	log map[string][]string // by key
}

func (w *watched) Put(key, value []byte) error {
	w.mu.Lock()
	w.log[string(key)] = append(w.log[string(key)], fmt.Sprint(len(value)))
	w.mu.Unlock()
	return w.Store.Put(key, value)
}

func (w *watched) NewBatch() engine.Batch { return &watchedBatch{w.Store.NewBatch(), w, nil} }

type watchedBatch struct {
	engine.Batch
	w    *watched
	puts [][2]string
}

func (b *watchedBatch) Put(key, value []byte) error {
	b.puts = append(b.puts, [2]string{string(key), fmt.Sprint(len(value))})
	return b.Batch.Put(key, value)
}

func (b *watchedBatch) Commit() error {
	b.w.mu.Lock()
	for _, p := range b.puts {
		b.w.log[p[0]] = append(b.w.log[p[0]], p[1])
	}
	b.w.mu.Unlock()
	b.puts = nil
	return b.Batch.Commit()
}

// The writes of each key come in their order, whoever does them.
func TestWritesOfOneKeyKeepTheirOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	want := make(map[string][]string)
	var ops []Op
	put := func(length int) Op {
		key := fmt.Sprintf("k%d", rng.IntN(5))
		want[key] = append(want[key], fmt.Sprint(length))
		return Op{Kind: KindPut, Key: k(key), Length: length}
	}
	for i := range 1000 {
		op := Op{Kind: KindBatch}
		if i%2 == 0 {
			op = put(i)
		} else {
			for j := range 3 {
				op.Items = append(op.Items, put(i+j))
			}
		}
		op.Start = time.Duration(i) * time.Microsecond
		ops = append(ops, op)
	}
	path := writeOps(t, false, ops)
	w := &watched{Store: memoryStore(t), log: make(map[string][]string)}
	r, err := NewReplay(path, w, 0, ReplayOptions{Threads: 4, Verify: true})
	must(t, err)
	must(t, play(r, true).err)
	if !reflect.DeepEqual(w.log, want) {
		t.Error("the writes have another order")
	}
}

func TestDueTimesAreThoseOfTheRecording(t *testing.T) {
	const ms = time.Millisecond
	ops := []Op{
		{Kind: KindPut, Start: 110 * ms, Took: ms, Key: k("a"), Length: 1},
		{Kind: KindPut, Start: 130 * ms, Took: ms, Key: k("b"), Length: 1},
		{Kind: KindGet, Start: 150 * ms, Took: 10 * time.Microsecond, Key: k("b"), Found: true, Length: 1},
		// It began before all others, and ended after them.
		{Kind: KindScan, Start: 100 * ms, Took: 300 * ms, Entries: 0},
		{Kind: KindDelete, Start: 450 * ms, Took: ms, Key: k("a")},
	}
	for speed, want := range map[float64][]time.Duration{
		0: {-1, -1, -1, -1, -1},
		1: {0, 10 * ms, 30 * ms, 50 * ms, 350 * ms},
		2: {0, 5 * ms, 15 * ms, 25 * ms, 175 * ms},
	} {
		r, err := NewReplay(writeOps(t, false, ops), memoryStore(t), 0, ReplayOptions{Threads: 1, Speed: speed, Verify: true})
		must(t, err)
		c, err := r.Client(0)
		must(t, err)
		var dues []time.Duration
		var kinds []string
		for {
			kind, due, more := c.Prepare()
			if !more {
				break
			}
			dues, kinds = append(dues, due), append(kinds, r.Kinds()[kind].Name)
			_, err := c.Execute()
			must(t, err)
			must(t, c.Verify())
		}
		must(t, c.Close())
		must(t, r.Finish(false))
		if !slices.Equal(dues, want) || strings.Join(kinds, " ") != "scan put put get delete" {
			t.Errorf("speed %v: %v due at %v, want %v", speed, kinds, dues, want)
		}
	}
}

// Whatever operations took, they come in the order in which they began.
func TestOperationsAreOrderedByTheirStart(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var ops []Op
	end := time.Duration(0)
	for i := range 5000 {
		end += time.Duration(rng.IntN(100)) * 10 * time.Microsecond
		took := time.Duration(rng.ExpFloat64()*float64(time.Millisecond)) / tickDefault * tickDefault
		if i%50 == 0 {
			took *= 100
		}
		took = min(took, end)
		ops = append(ops, Op{Kind: KindMultiGet, Start: end - took, Took: took, Items: []Op{
			{Kind: KindGet, Key: binary.BigEndian.AppendUint32(nil, uint32(i))}, {Kind: KindGet, Key: k("")}}})
	}
	path := writeOps(t, false, ops)
	s, err := newSurvey(path, 0)
	must(t, err)
	if len(s.slow) < 20 || len(s.slow) > 500 {
		t.Errorf("%d slow operations", len(s.slow))
	}
	in, err := Open(path)
	must(t, err)
	defer in.Close()
	o := &ordered{r: in, slow: s.slow}
	seen := make(map[uint32]bool)
	last := time.Duration(0)
	for {
		op, err := o.next()
		if err == io.EOF {
			break
		}
		must(t, err)
		if op.Start < last {
			t.Fatalf("%v behind %v", op.Start, last)
		}
		last = op.Start
		i := binary.BigEndian.Uint32(op.Items[0].Key)
		if seen[i] || op.Start != ops[i].Start || op.Took != ops[i].Took || op.Items[1].Key == nil {
			t.Fatalf("operation %d: %+v", i, op)
		}
		seen[i] = true
	}
	if len(seen) != len(ops) {
		t.Errorf("%d operations of %d", len(seen), len(ops))
	}
}

// mortal is a store that notes times to live.
type mortal struct {
	engine.Store
	ttl time.Duration
}

func (m *mortal) PutTTL(key, value []byte, ttl time.Duration) error {
	m.ttl = ttl
	return m.Store.Put(key, value)
}

func TestTimesToLiveGoWithTheSpeed(t *testing.T) {
	path := writeOps(t, false, []Op{{Kind: KindPutTTL, Key: k("a"), Length: 1, TTL: time.Hour}})
	for speed, want := range map[float64]time.Duration{0: time.Hour, 1: time.Hour, 2: time.Hour / 2, 0.5: 2 * time.Hour} {
		m := &mortal{Store: memoryStore(t)}
		r, err := NewReplay(path, m, engine.TTL, ReplayOptions{Threads: 1, Speed: speed, Verify: true})
		must(t, err)
		must(t, play(r, true).err)
		if m.ttl != want {
			t.Errorf("speed %v: %v, want %v", speed, m.ttl, want)
		}
	}
}

func TestWhatAnEngineLacksIsLeftOut(t *testing.T) {
	ops := []Op{
		{Kind: KindMerge, Key: k("m"), Length: 8},
		{Kind: KindPutTTL, Key: k("t"), Length: 8, TTL: time.Hour},
		{Kind: KindPutIfAbsent, Key: k("p"), Length: 8, Found: true},
		{Kind: KindDeleteRange, Range: Bounds{Lower: k("x")}},
		{Kind: KindTransaction, Items: []Op{{Kind: KindPut, Key: k("q"), Length: 1}, {Kind: KindScan}}},
		{Kind: KindTransaction, Tx: TxInfo{Outcome: TxConflict}, Items: []Op{{Kind: KindPut, Key: k("q"), Length: 1}}},
		{Kind: KindPut, Key: k("f"), Length: 1, Error: ErrorDiskFull},
		{Kind: KindGet, Key: k("m"), Length: 16, Found: true},
		{Kind: KindLost, Entries: 5},
	}
	path := writeOps(t, false, ops)
	for _, c := range []struct {
		has     engine.Ability
		total   uint64
		skipped int
		loaded  int
	}{{0, 1, 7, 1}, {allAbilities, 5, 4, 0}, {engine.Merge, 2, 6, 0}} {
		r, err := NewReplay(path, memoryStore(t), c.has, ReplayOptions{Threads: 2, Verify: true})
		must(t, err)
		var skipped uint64
		for _, s := range r.Skipped() {
			skipped += s.Count
			if s.Reason == "" || s.String() == "" {
				t.Error("left out without a reason")
			}
		}
		if n, _ := r.Preloaded(); n != c.loaded || r.Total() != c.total || skipped != uint64(c.skipped) {
			t.Errorf("abilities %q: %d operations, %d loaded, left out %v", c.has, r.Total(), n, r.Skipped())
		}
		got := play(r, true)
		must(t, got.err)
		if got.ops != c.total {
			t.Errorf("%d operations of %d", got.ops, c.total)
		}
	}
}

func TestPreloadStoresWhatTheTraceFinds(t *testing.T) {
	path := writeOps(t, false, []Op{
		{Kind: KindGet, Key: k("old"), Found: true, Length: 300},
		{Kind: KindPut, Key: k("new"), Length: 10},
		{Kind: KindGet, Key: k("new"), Found: true, Length: 10},
		{Kind: KindGet, Key: k("never")},
		{Kind: KindHas, Key: k("has"), Found: true},
		{Kind: KindDelete, Key: k("deleted")},
		{Kind: KindGet, Key: k("deleted"), Found: true, Length: 4},
	})
	store := memoryStore(t)
	r, err := NewReplay(path, store, 0, ReplayOptions{Threads: 1, Verify: true})
	must(t, err)
	var got []string
	for key, length := range r.Entries() {
		got = append(got, fmt.Sprintf("%s=%d", key, length))
	}
	if want := []string{"has=10", "old=300"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	must(t, r.Preload(context.Background(), nil))
	if value, err := store.Get(nil, k("old")); err != nil || len(value) != 300 {
		t.Errorf("%d bytes, %v", len(value), err)
	}
	if _, err := store.Get(nil, k("new")); !errors.Is(err, engine.ErrNotFound) {
		t.Error(err)
	}
	must(t, play(r, false).err)
}

// A client that ends early ends all, though others wait for its writes.
func TestReplayThatIsInterruptedEnds(t *testing.T) {
	var ops []Op
	for i := range 1000 {
		op := Op{Kind: KindBatch, Start: time.Duration(i) * time.Microsecond}
		for j := range 8 {
			op.Items = append(op.Items, Op{Kind: KindPut, Key: k(fmt.Sprint((i + j) % 20)), Length: 1})
		}
		ops = append(ops, op)
	}
	r, err := NewReplay(writeOps(t, false, ops), memoryStore(t), 0, ReplayOptions{Threads: 4, Verify: true})
	must(t, err)
	var wg sync.WaitGroup
	for i := range 4 {
		c, err := r.Client(i)
		must(t, err)
		wg.Go(func() {
			for n := 0; ; n++ {
				if _, _, more := c.Prepare(); !more || i == 2 && n == 5 {
					break
				}
				if _, err := c.Execute(); err != nil {
					t.Error(err)
				}
				if err := c.Verify(); err != nil {
					t.Error(err)
				}
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	must(t, r.Finish(true))
}

func TestReplayOfTornAndDamagedTraces(t *testing.T) {
	whole := writeTrace(t, goldenHeader, goldenOps(), 0, true)
	path := filepath.Join(t.TempDir(), "t")
	must(t, os.WriteFile(path, whole[:len(whole)-50], 0o600))
	r, err := NewReplay(path, memoryStore(t), 0, ReplayOptions{Threads: 2, Verify: true})
	must(t, err)
	if got := play(r, true); got.err != nil || got.ops == 0 || !r.Summary().Torn {
		t.Errorf("%d operations, %+v, %v", got.ops, r.Summary(), got.err)
	}
	whole[headerLen+blockHeaderLen+3] ^= 1
	must(t, os.WriteFile(path, whole, 0o600))
	_, err = NewReplay(path, memoryStore(t), 0, ReplayOptions{Threads: 2})
	if _, ok := errors.AsType[*DamageError](err); !ok {
		t.Errorf("error %v", err)
	}
	if f, err := Info(path); err != nil || f.Damage == nil {
		t.Errorf("%+v, %v", f, err)
	}
	for _, o := range []ReplayOptions{{}, {Threads: 1, Speed: -1}} {
		if _, err := NewReplay(path, memoryStore(t), 0, o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}

func TestInfo(t *testing.T) {
	var ops []Op
	for i := range 1000 {
		key := binary.BigEndian.AppendUint32(nil, uint32(i%200))
		if i%2 == 0 {
			key = k("hot!")
		}
		ops = append(ops, Op{Kind: KindPut, Start: time.Duration(i) * time.Millisecond, Took: time.Millisecond, Key: key, Length: i % 5})
	}
	ops = append(ops, Op{Kind: KindGet, Start: time.Second, Took: time.Second, Key: k("hot!"), Found: true, Length: 7},
		Op{Kind: KindScan, Start: 2 * time.Second, Entries: 12, Error: ErrorOther})
	f, err := Info(writeOps(t, false, ops))
	must(t, err)
	if f.Operations != 1002 || !f.Whole || f.Keys != 101 || f.Accesses != 1001 || f.Reads != 1 || f.Found != 1 || f.Failed != 1 ||
		f.Scanned != 12 || f.Duration != 2*time.Second || f.Clients != 1 || f.Keyspaces != 1 {
		t.Errorf("%+v", f)
	}
	if f.Kinds[0].Kind != KindPut || f.Kinds[0].Count != 1000 || f.Kinds[0].Mean != time.Millisecond || f.KeyBytes.Mean() != 4 ||
		f.ValueBytes.Max != 4 || f.ReadBytes.Min != 7 || f.Concurrency != 1 {
		t.Errorf("%+v", f)
	}
	// Of 101 keys the top 1% are two.
	if want := float64(501+5) / 1001; f.Top != want {
		t.Errorf("the top keys have %v, want %v", f.Top, want)
	}
}
