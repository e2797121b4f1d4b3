package trace

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

func TestCreateKeepsAFileThatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "t")
	must(t, os.WriteFile(path, k("mine"), 0o600))
	if _, err := Create(path, Options{}); !errors.Is(err, os.ErrExist) {
		t.Fatalf("error %v", err)
	}
	if b, _ := os.ReadFile(path); string(b) != "mine" {
		t.Fatalf("the file is %q now", b)
	}
	r, err := Create(path, Options{Overwrite: true})
	must(t, err)
	must(t, r.Close())
	if _, sum := readAll(t, path); !sum.Whole || sum.Operations != 0 {
		t.Errorf("%+v", sum)
	}
}

// What several goroutines record comes whole, each one's in its order, all in
// the order of their ends.
func TestConcurrentRecordingIsCompleteAndInOrder(t *testing.T) {
	store := openStore(t)
	path, r := create(t, Options{BufferBytes: 64 << 20})
	d := Wrap(store, r)
	const clients, each = 8, 1500
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			own := d.Client()
			var key [8]byte
			for i := range uint64(each) {
				binary.BigEndian.PutUint64(key[:], i)
				if i%2 == 0 {
					if err := own.Put(key[:], key[:i%8]); err != nil {
						t.Error(err)
					}
				} else if _, err := own.Has(key[:]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	must(t, r.Close())
	ops, sum := readAll(t, path)
	if !sum.Whole || sum.Operations != clients*each || r.Recorded() != clients*each || r.Dropped() != 0 {
		t.Fatalf("%+v, %d recorded, %d dropped", sum, r.Recorded(), r.Dropped())
	}
	next := make(map[uint32]uint64)
	var before time.Duration
	for i := range ops {
		op := &ops[i]
		if at := binary.BigEndian.Uint64(op.Key); at != next[op.Client] {
			t.Fatalf("client %d: operation %d in place of %d", op.Client, at, next[op.Client])
		}
		next[op.Client]++
		if op.End() < before || op.Start < 0 {
			t.Fatalf("operation %d ended at %v, after one at %v", i, op.End(), before)
		}
		before = op.End()
	}
}

// stubFile is a file in memory that is full at some length.
type stubFile struct {
	mu             sync.Mutex
	b              []byte
	at             int
	max            int
	block          chan struct{} // writes wait for it
	synced, closed bool
}

func (f *stubFile) Write(b []byte) (int, error) {
	if f.block != nil {
		<-f.block
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := min(len(b), f.max-f.at)
	f.b = append(f.b, make([]byte, max(f.at+n-len(f.b), 0))...)
	f.at += copy(f.b[f.at:], b[:n])
	if n < len(b) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

func (f *stubFile) Truncate(size int64) error { f.b = f.b[:size]; return nil }
func (f *stubFile) Seek(at int64, _ int) (int64, error) {
	f.at = int(at)
	return at, nil
}
func (f *stubFile) Sync() error  { f.synced = true; return nil }
func (f *stubFile) Close() error { f.closed = true; return nil }

func (f *stubFile) read(t *testing.T) (n uint64, sum Summary) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stub")
	must(t, os.WriteFile(path, f.b, 0o600))
	ops, sum := readAll(t, path)
	for i := range ops {
		if ops[i].Kind != KindLost {
			n++
		}
	}
	return n, sum
}

// A full disk ends the recording and nothing else.
func TestFullDiskStopsTheRecordingOnly(t *testing.T) {
	f := &stubFile{max: 700 << 10}
	r, err := newRecorder(f, Options{HashKeys: true})
	must(t, err)
	d := Wrap(openStore(t), r)
	some := scope{r: r}
	var n uint64
	var key [16]byte
	for deadline := time.Now().Add(time.Minute); r.Err() == nil; {
		for range 1000 {
			n++
			binary.BigEndian.PutUint64(key[:], mix(n))
			some.point(KindPut, some.begin(), key[:], 5, false, nil)
		}
		if time.Now().After(deadline) {
			t.Fatal("recording goes on")
		}
	}
	must(t, d.Put(k("after"), k("value")))
	n++
	if value, err := d.Get(k("after")); err != nil || string(value) != "value" {
		t.Errorf("%q, %v", value, err)
	}
	n++
	if err := r.Close(); !errors.Is(err, syscall.ENOSPC) || !errors.Is(r.Err(), syscall.ENOSPC) {
		t.Errorf("Close: %v, Err: %v", err, r.Err())
	}
	got, sum := f.read(t)
	if !sum.Whole || !f.synced || !f.closed || sum.Operations != got || got == 0 {
		t.Errorf("%d operations, %+v", got, sum)
	}
	if sum.Operations+sum.Lost != n || sum.Lost != r.Dropped() || r.Recorded() != got {
		t.Errorf("%d recorded and %d lost (%d by the recorder) of %d", sum.Operations, sum.Lost, r.Dropped(), n)
	}
}

// What has ended while the shards were emptied, one after the other, waits for
// the next time: something older may be in a shard that was emptied before.
func TestOperationsOfTheFutureAreHeld(t *testing.T) {
	f := &stubFile{max: 1 << 30}
	w, err := newWriter(f, goldenHeader, secret{1, 2})
	must(t, err)
	r := &Recorder{began: time.Now(), shards: make([]shard, 2), runs: make([]run, 2), w: w}
	put := func(shard int, end time.Duration) {
		e := encoder{buf: r.shards[shard].buf, tick: 1}
		e.record(&Op{Kind: KindPut, Start: end, Key: fmt.Append(nil, end)})
		r.shards[shard].buf = e.buf
	}
	const hour = time.Hour // ahead
	put(0, 1)
	put(0, hour+3)
	put(0, hour+5)
	put(1, 2)
	put(1, hour+4)
	r.collect(false)
	if w.waiting != 2 {
		t.Fatalf("%d operations were taken", w.waiting)
	}
	put(0, hour+7)
	put(1, hour+6)
	r.collect(false)
	r.began = r.began.Add(-2 * hour)
	r.collect(true)
	must(t, w.close(0, 0))
	path := filepath.Join(t.TempDir(), "t")
	must(t, os.WriteFile(path, f.b, 0o600))
	ops, _ := readAll(t, path)
	var got []string
	for i := range ops {
		got = append(got, string(ops[i].Key))
	}
	if want := "1ns 2ns 1h0m0.000000003s 1h0m0.000000004s 1h0m0.000000005s 1h0m0.000000006s 1h0m0.000000007s"; strings.Join(got, " ") != want {
		t.Errorf("the order is %v", got)
	}
}

// A disk that does not answer makes nobody wait.
func TestSlowDiskDropsOperations(t *testing.T) {
	f := &stubFile{max: 1 << 30}
	r, err := newRecorder(f, Options{BufferBytes: bufferBytesMin})
	must(t, err)
	f.mu.Lock() // the disk hangs
	d := Wrap(openStore(t), r)
	var n uint64
	key := make([]byte, 100)
	full := func() bool {
		for i := range r.shards {
			s := &r.shards[i]
			s.mu.Lock()
			lost := s.lost
			s.mu.Unlock()
			if lost == 0 {
				return false
			}
		}
		return true
	}
	for deadline := time.Now().Add(time.Minute); !full(); {
		n++
		binary.BigEndian.PutUint64(key, mix(n))
		must(t, d.Put(key, nil))
		if time.Now().After(deadline) {
			t.Fatal("nothing was dropped")
		}
	}
	f.mu.Unlock()
	must(t, r.Close())
	got, sum := f.read(t)
	if !sum.Whole || sum.Lost == 0 || got+sum.Lost != n || r.Dropped() != sum.Lost {
		t.Errorf("%d recorded and %d lost of %d, %d dropped, %+v", got, sum.Lost, n, r.Dropped(), sum)
	}
}

func TestOperationsAfterCloseAreLeftAlone(t *testing.T) {
	path, r := create(t, Options{})
	d := Wrap(openStore(t), r)
	must(t, d.Put(k("a"), nil))
	must(t, r.Close())
	must(t, d.Put(k("b"), nil))
	must(t, r.Close())
	if ops, _ := readAll(t, path); len(ops) != 1 {
		t.Errorf("%d operations", len(ops))
	}
}

// Of what is too large for a record, the number of what is missing is told.
func TestLargeBatchesAreCut(t *testing.T) {
	path, r := create(t, Options{BufferBytes: 64 << 20})
	d := Wrap(openStore(t), r)
	b := d.NewBatch()
	for i := range uint64(recordItemsMax + 7) {
		must(t, b.Put(binary.BigEndian.AppendUint32(nil, uint32(i)), nil))
	}
	must(t, d.Apply(b, db.NoSync))
	b.Reset()
	long := make([]byte, db.MaxKeyBytes)
	for i := range 20 {
		long[0] = byte(i)
		must(t, b.Put(long, nil))
	}
	must(t, d.Apply(b, db.NoSync))
	keys := make([][]byte, recordItemsMax+5)
	for i := range keys {
		keys[i] = []byte{1}
	}
	some := scope{r: r}
	some.multiGet(some.begin(), keys, nil, nil)
	must(t, r.Close())
	ops, sum := readAll(t, path)
	if len(ops) != 3 || !sum.Whole {
		t.Fatalf("%d operations, %+v", len(ops), sum)
	}
	for i, want := range []int{recordItemsMax + 7, 20, recordItemsMax + 5} {
		if got := len(ops[i].Items) + int(ops[i].Cut); got != want || ops[i].Cut == 0 {
			t.Errorf("%d items and %d cut, want %d", len(ops[i].Items), ops[i].Cut, want)
		}
	}
}

// The recording of a point read or write allocates nothing.
func TestRecordingDoesNotAllocate(t *testing.T) {
	_, r := create(t, Options{HashKeys: true})
	s := scope{r: r}
	key, keys, values := k("key"), [][]byte{k("a"), k("b")}, [][]byte{nil, {}}
	n := testing.AllocsPerRun(1000, func() {
		s.point(KindGet, s.begin(), key, 7, true, nil)
		s.multiGet(s.begin(), keys, values, nil)
	})
	if n >= 1 {
		t.Errorf("%v allocations", n)
	}
}
