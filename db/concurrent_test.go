package db

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// bank is a store whose values always add up.
type bank struct {
	store *DB
	total int64
	pad   int // values are this much longer for some accounts
}

const accounts = 64

func accountKey(i int) []byte { return fmt.Appendf(nil, "account/%03d", i) }

// put adds an account's new value to a batch.
func (b *bank) put(batch *Batch, i int, amount int64) error {
	v := make([]byte, 8, 8+b.pad)
	binary.LittleEndian.PutUint64(v, uint64(amount))
	if i%4 == 0 { // these are in the value log
		v = v[:8+b.pad]
	}
	return batch.Put(accountKey(i), v)
}

type scanner interface {
	Get(key []byte) ([]byte, error)
	MultiGet(keys ...[]byte) ([][]byte, error)
}

// sum adds the accounts up along a scan.
func (b *bank) sum(seq func(func(Item, error) bool)) error {
	var total int64
	n := 0
	for item, err := range seq {
		if err != nil {
			return err
		}
		v, err := item.Value()
		if err != nil {
			return err
		}
		total += int64(binary.LittleEndian.Uint64(v))
		n++
	}
	if n != accounts || total != b.total {
		return fmt.Errorf("%d accounts hold %d, want %d and %d", n, total, accounts, b.total)
	}
	return nil
}

// sumGet is sum with MultiGet.
func (b *bank) sumGet(r scanner) error {
	keys := make([][]byte, accounts)
	for i := range keys {
		keys[i] = accountKey(i)
	}
	values, err := r.MultiGet(keys...)
	if err != nil {
		return err
	}
	var total int64
	for i, v := range values {
		if len(v) < 8 {
			return fmt.Errorf("account %d is missing", i)
		}
		total += int64(binary.LittleEndian.Uint64(v))
	}
	if total != b.total {
		return fmt.Errorf("MultiGet: accounts hold %d, want %d", total, b.total)
	}
	return nil
}

// read is one look at the store, of several kinds.
func (b *bank) read(kind int) error {
	switch kind % 4 {
	case 0:
		return b.sum(b.store.Scan(Prefix([]byte("account/"))))
	case 1:
		return b.sum(b.store.Scan(Prefix([]byte("account/")).Backward()))
	case 2:
		return b.sumGet(b.store)
	}
	snap, err := b.store.Snapshot()
	if err != nil {
		return err
	}
	defer snap.Close()
	for range 3 {
		if err := errors.Join(b.sum(snap.Scan(Prefix([]byte("account/")))), b.sumGet(snap)); err != nil {
			return fmt.Errorf("snapshot: %w", err)
		}
	}
	return nil
}

// transfer moves money among the accounts of one writer, which nobody else
// writes. amounts are what they hold.
func (b *bank) transfer(r *rand.Rand, writer int, amounts map[int]int64) error {
	batch := b.store.NewBatch()
	if r.IntN(8) == 0 { // all of them away and back within one commit
		lower, upper := accountKey(writer*accounts/4), accountKey((writer+1)*accounts/4)
		if err := batch.DeleteRange(Between(lower, upper)); err != nil {
			return err
		}
		for i, amount := range amounts {
			if err := b.put(batch, i, amount); err != nil {
				return err
			}
		}
	}
	for range 1 + r.IntN(4) {
		from, to := writer*accounts/4+r.IntN(accounts/4), writer*accounts/4+r.IntN(accounts/4)
		n := int64(r.IntN(100))
		amounts[from] -= n
		amounts[to] += n
		if err := errors.Join(b.put(batch, from, amounts[from]), b.put(batch, to, amounts[to])); err != nil {
			return err
		}
	}
	d := NoSync
	if r.IntN(10) == 0 {
		d = Sync
	}
	return b.store.Apply(batch, d)
}

func newBank(t *testing.T, store *DB) *bank {
	t.Helper()
	b := &bank{store: store, pad: 300, total: accounts * 1000}
	batch := store.NewBatch()
	for i := range accounts {
		must(t, b.put(batch, i, 1000))
	}
	must(t, store.Apply(batch, NoSync))
	return b
}

func TestBatchesAreWholeInEveryReadWhateverRunsBeside(t *testing.T) {
	length := 2 * time.Second
	if testing.Short() {
		length = time.Second
	}
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.MemtableBytes = 8 << 10
	store := openMem(t, fs, opts)
	b := newBank(t, store)
	seed := uint64(time.Now().UnixNano())
	start := time.Now()
	var wg sync.WaitGroup
	var commits, reads atomic.Int64
	// On a slow machine it goes on until everything has run.
	running := func() bool {
		if past := time.Since(start); past < length || past > testkit.HangsAfter {
			return past < length
		}
		m := store.Metrics()
		return reads.Load() < 100 || m.Flushes == 0 || m.Compactions == 0 || m.Collections == 0
	}
	loop := func(name string, n int, fn func(i int) error) {
		for g := range n {
			wg.Go(func() {
				for i := g; running() && !t.Failed(); i++ {
					if err := fn(i); err != nil {
						t.Errorf("seed %d, %s: %v", seed, name, err)
						return
					}
				}
			})
		}
	}
	for writer := range 4 {
		r := rand.New(rand.NewPCG(seed, uint64(writer)))
		amounts := make(map[int]int64)
		for i := writer * accounts / 4; i < (writer+1)*accounts/4; i++ {
			amounts[i] = 1000
		}
		loop("transfer", 1, func(int) error { commits.Add(1); return b.transfer(r, writer, amounts) })
	}
	loop("read", 4, func(i int) error { reads.Add(1); return b.read(i) })
	ctx := context.Background()
	nap := func(err error) error { time.Sleep(3 * time.Millisecond); return err }
	loop("Flush", 1, func(int) error { return nap(store.Flush(ctx)) })
	loop("Compact", 1, func(i int) error {
		return nap(store.Compact(ctx, Between(accountKey(i%accounts), accountKey((i+20)%accounts))))
	})
	loop("CollectGarbage", 1, func(i int) error { return nap(store.CollectGarbage(ctx, float64(i%3)/10)) })
	loop("held cursor", 1, func(int) error { return holdCursor(b) })
	wg.Wait()
	must(t, b.read(0), b.read(2), b.read(3))
	m := store.Metrics()
	checkMetrics(t, m)
	t.Logf("%d commits, %d reads, %d flushes, %d compactions, %d collections", commits.Load(), reads.Load(), m.Flushes, m.Compactions, m.Collections)
	if reads.Load() < 100 || m.Flushes == 0 || m.Compactions == 0 || m.Collections == 0 {
		t.Error("something did not run")
	}
	closeDB(t, store)
	store = openMem(t, fs, opts)
	b.store = store
	must(t, b.read(0), b.read(2))
	closeDB(t, store)
}

// holdCursor walks one cursor slowly, there and back.
func holdCursor(b *bank) error {
	c, err := b.store.NewCursor(Prefix([]byte("account/")))
	if err != nil {
		return err
	}
	defer c.Close()
	there := func(yield func(Item, error) bool) {
		for ok := c.First(); ok; ok = c.Next() {
			if !yield(c.Item(), nil) {
				return
			}
			time.Sleep(50 * time.Microsecond)
		}
	}
	back := func(yield func(Item, error) bool) {
		for ok := c.Last(); ok; ok = c.Prev() {
			if !yield(c.Item(), nil) {
				return
			}
		}
	}
	return errors.Join(b.sum(there), c.Err(), b.sum(back), c.Err(), b.sum(there), c.Err())
}

// checkMetrics checks that figures are possible.
func checkMetrics(t *testing.T, m Metrics) {
	t.Helper()
	for level, l := range m.Levels {
		if (l.Tables == 0) != (l.Bytes == 0) || (l.Tables == 0) != (l.Entries == 0) && l.Entries > 0 {
			t.Errorf("level %d: %+v", level, l)
		}
	}
	if m.Memtables < 1 || m.MemtableBytes < 0 || m.CacheBytes < 0 || m.PinnedBytes < 0 || m.Pressure < 0 || m.Pressure > 1 ||
		m.ValueLog.Garbage > m.ValueLog.Bytes || m.ValueLog.Amplification < 1 || m.Snapshots != 0 || m.Cursors != 0 ||
		m.WALBytes == 0 || m.BackgroundError != nil {
		t.Errorf("%+v", m)
	}
}

// stalls holds up each change of a table or a value-log file until it is let go.
type stalls struct {
	on   atomic.Bool
	held chan chan struct{} // gets one for each change that is held up; closing it lets go
}

func (s *stalls) decide(op vfs.Op) *vfs.Fault {
	if s.on.Load() && op.Kind.Mutates() && (strings.HasSuffix(op.Path, ".sst") || strings.HasSuffix(op.Path, ".vlog")) {
		let := make(chan struct{})
		s.held <- let
		<-let
	}
	return nil
}

// Badger's View of an old key took over three seconds while writers were
// stalled. Here reads of all kinds end while a change of a file is held up, one
// after the other, and also while no writer gets on any more.
func TestReadsNeverWaitForStalledWriters(t *testing.T) {
	s := stalls{held: make(chan chan struct{})}
	opts := smallOptions()
	opts.FS = vfs.NewFaulty(vfs.NewMem(), s.decide)
	store, err := Open("/db", &opts)
	must(t, err)
	b := newBank(t, store)
	must(t, store.Flush(context.Background()))
	s.on.Store(true)
	var wg sync.WaitGroup
	var done atomic.Bool
	for w := range 4 {
		wg.Go(func() {
			for i := 0; !done.Load(); i++ {
				if err := store.Put(fmt.Appendf(nil, "other/%d/%d", w, i), make([]byte, 200)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	readAll := func(what string) {
		t.Helper()
		read := make(chan error, 1)
		go func() { read <- errors.Join(b.read(0), b.read(1), b.read(2), b.read(3)) }()
		select {
		case err := <-read:
			must(t, err)
		case <-time.After(testkit.HangsAfter):
			t.Fatalf("reads wait for %s", what)
		}
	}
	for range 15 {
		let := <-s.held
		readAll("a change of a file")
		close(let)
	}
	// Until memory is full of what cannot be flushed.
	let := <-s.held
	testkit.Until(t, func() bool { return store.memoryFull() && testkit.Blocked("db.(*DB).awaitMemory(") },
		func() string { return "the writers are not stalled: the test shows nothing" })
	readAll("writers that are stalled")
	done.Store(true)
	s.on.Store(false)
	close(let)
	go func() { // others may have been on their way
		for let := range s.held {
			close(let)
		}
	}()
	wg.Wait()
	closeDB(t, store)
	close(s.held)
}

func TestEventsComeInOrderAndFromOneGoroutine(t *testing.T) {
	var inside atomic.Int32
	var mu sync.Mutex
	var events []Event
	opts := smallOptions()
	opts.Events = func(e Event) {
		if inside.Add(1) != 1 {
			t.Error("two events at once")
		}
		mu.Lock()
		events = append(events, e)
		mu.Unlock()
		inside.Add(-1)
	}
	store := openMem(t, vfs.NewMem(), opts)
	for round := range 5 {
		for i := range 200 {
			must(t, store.Put(fmt.Appendf(nil, "k%d", i), make([]byte, 100+100*(i%4)+round)))
		}
		must(t, store.Flush(context.Background()))
	}
	must(t, store.Compact(context.Background(), All()), store.CollectGarbage(context.Background(), 0))
	m := store.Metrics()
	closeDB(t, store) // waits for the last event
	var flushes, compactions, collections uint64
	for _, e := range events {
		switch e := e.(type) {
		case FlushDone:
			flushes++
			if e.Tables > 0 && e.Bytes == 0 {
				t.Errorf("%+v", e)
			}
		case CompactionDone:
			compactions++
			if flushes == 0 {
				t.Error("a compaction before any flush")
			}
		case GarbageCollected:
			collections++
			if e.Kept > e.Bytes {
				t.Errorf("%+v", e)
			}
		case JobFailed, Damage, BackgroundError, Leak, LogCut:
			t.Errorf("%T %+v", e, e)
		}
	}
	if flushes < m.Flushes || compactions < m.Compactions || collections < m.Collections || flushes < 5 {
		t.Errorf("%d, %d, %d events; metrics say %d, %d, %d", flushes, compactions, collections, m.Flushes, m.Compactions, m.Collections)
	}
}

func TestSlowListenerDelaysNobodyAndDropsAreCounted(t *testing.T) {
	let := make(chan struct{})
	opts := smallOptions()
	opts.Events = func(Event) { <-let }
	store := openMem(t, vfs.NewMem(), opts)
	done := make(chan error, 1)
	go func() {
		// As much as may be in the listener's hands, as may wait, and more.
		for i := range 2*eventBacklogMax + 10 {
			store.events.post(JobFailed{Tries: i})
		}
		done <- errors.Join(store.Put([]byte("k"), nil), store.Flush(context.Background()))
	}()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(testkit.HangsAfter):
		t.Fatal("a write waits for the listener")
	}
	if m := store.Metrics(); m.EventsDropped == 0 {
		t.Error("no event was dropped")
	}
	close(let)
	closeDB(t, store)
}
