package workload

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// liar is an engine that lies where a function is set, each time that now says.
type liar struct {
	honest engine.Store
	calls  atomic.Uint64
	every  uint64

	get     func(l *liar, dst, key []byte) ([]byte, error)
	put     func(l *liar, key, value []byte) error
	remove  func(l *liar, key []byte) error
	merge   func(l *liar, key, operand []byte) error
	putTTL  func(l *liar, key, value []byte, ttl time.Duration) error
	update  func(l *liar, fn func(engine.Tx) error) (int, error)
	many    func(l *liar, keys [][]byte, see func(int, []byte, error) error) error
	entries func(l *liar, list []shown) []shown // of a cursor's next entries
	batch   func(l *liar, puts []shown) []shown

	mu    sync.Mutex
	older map[string][]byte // values before the last put
	last  []byte            // the last value read
}

type shown struct{ key, value []byte }

// now tells whether it is time for a lie.
func (l *liar) now() bool { return l.calls.Add(1)%l.every == l.every-1 }

func (l *liar) Get(dst, key []byte) ([]byte, error) {
	if l.get != nil {
		return l.get(l, dst, key)
	}
	return l.honest.Get(dst, key)
}

func (l *liar) Put(key, value []byte) error {
	if l.put != nil {
		return l.put(l, key, value)
	}
	return l.honest.Put(key, value)
}

func (l *liar) Delete(key []byte) error {
	if l.remove != nil {
		return l.remove(l, key)
	}
	return l.honest.Delete(key)
}

func (l *liar) Merge(key, operand []byte) error {
	if l.merge != nil {
		return l.merge(l, key, operand)
	}
	return l.honest.(engine.Merger).Merge(key, operand)
}

func (l *liar) PutTTL(key, value []byte, ttl time.Duration) error {
	if l.putTTL != nil {
		return l.putTTL(l, key, value, ttl)
	}
	return l.honest.(engine.Expirer).PutTTL(key, value, ttl)
}

func (l *liar) Update(fn func(engine.Tx) error) (int, error) {
	if l.update != nil {
		return l.update(l, fn)
	}
	return l.honest.(engine.Transactor).Update(fn)
}

func (l *liar) MultiGet(keys [][]byte, see func(int, []byte, error) error) error {
	if l.many != nil {
		return l.many(l, keys, see)
	}
	for i, key := range keys {
		value, err := l.honest.Get(nil, key)
		if err := see(i, value, err); err != nil {
			return err
		}
	}
	return nil
}

func (l *liar) CollectGarbage(ctx context.Context) error { return nil }
func (l *liar) Settle(ctx context.Context) error         { return l.honest.Settle(ctx) }
func (l *liar) Close() error                             { return nil }

func (l *liar) NewBatch() engine.Batch {
	if l.batch == nil {
		return l.honest.NewBatch()
	}
	return &liarBatch{l: l}
}

type liarBatch struct {
	l    *liar
	puts []shown
}

func (b *liarBatch) Put(key, value []byte) error {
	b.puts = append(b.puts, shown{bytes.Clone(key), bytes.Clone(value)})
	return nil
}
func (b *liarBatch) Delete(key []byte) error { return errors.New("not used") }
func (b *liarBatch) Close() error            { return nil }
func (b *liarBatch) Commit() error {
	puts := b.puts
	if b.l.now() {
		puts = b.l.batch(b.l, puts)
	}
	b.puts = b.puts[:0]
	for _, p := range puts {
		if err := b.l.honest.Put(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

func (l *liar) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	c, err := l.honest.NewCursor(o)
	if err != nil || l.entries == nil {
		return c, err
	}
	return &liarCursor{Cursor: c, l: l}, nil
}

// liarCursor reads some entries ahead, and shows what the lie makes of them.
type liarCursor struct {
	engine.Cursor
	l    *liar
	list []shown
}

const liarAhead = 6

func (c *liarCursor) fill(more bool) bool {
	c.list = nil
	for ; more && len(c.list) < liarAhead; more = c.Cursor.Next() {
		value, err := c.Cursor.Value()
		if err != nil {
			return false
		}
		c.list = append(c.list, shown{bytes.Clone(c.Cursor.Key()), bytes.Clone(value)})
	}
	if len(c.list) == liarAhead && c.l.now() {
		c.list = c.l.entries(c.l, c.list)
	}
	return len(c.list) > 0
}

func (c *liarCursor) First() bool          { return c.fill(c.Cursor.First()) }
func (c *liarCursor) Seek(key []byte) bool { return c.fill(c.Cursor.Seek(key)) }
func (c *liarCursor) Next() bool {
	if c.list = c.list[1:]; len(c.list) > 0 {
		return true
	}
	// The entry that the honest cursor stands on was not taken yet.
	return c.fill(c.Cursor.Err() == nil && c.valid())
}
func (c *liarCursor) valid() (ok bool) {
	defer func() { ok = recover() == nil && ok }()
	return len(c.Cursor.Key()) > 0
}
func (c *liarCursor) Key() []byte            { return c.list[0].key }
func (c *liarCursor) Value() ([]byte, error) { return c.list[0].value, nil }

// between is a key just above that of a present one.
func between(key []byte) []byte {
	k := bytes.Clone(key)
	k[len(k)-1]++ // its number is even
	return k
}

// remember keeps the value that a put replaces.
func (l *liar) remember(key []byte) {
	old, err := l.honest.Get(nil, key)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil {
		l.older[string(key)] = old
	}
}

func (l *liar) replaced(key []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.older[string(key)]
}

// spoiled is a lie of Get that changes the value read.
func spoiled(change func(value []byte) []byte) func(*liar, []byte, []byte) ([]byte, error) {
	return func(l *liar, dst, key []byte) ([]byte, error) {
		value, err := l.honest.Get(nil, key)
		if err == nil && l.now() {
			value = change(value)
		}
		return append(dst, value...), err
	}
}

var writesAndReads = &Workload{Name: "writes-and-reads", Group: "own", Loaded: true, Load: "fillrandom", Writes: true,
	Shares: []Share{{Update, 2}, {Delete, 1}, {Read, 3}, {ReadModify, 1}, {MultiRead, 1}, {BatchPut, 1}, {Insert, 1}}, Batch: 7, Multi: 5}

var scansAndWrites = &Workload{Name: "scans-and-writes", Group: "own", Loaded: true, Load: "fillrandom", Writes: true,
	Shares: []Share{{Scan, 2}, {ReverseScan, 2}, {Delete, 1}, {Update, 1}, {Insert, 1}}, Scan: "1..40", Between: true}

var reverseScans = &Workload{Name: "reverse-scans", Group: "own", Loaded: true, Load: "fillrandom",
	Shares: []Share{{ReverseScan, 1}}, Scan: "5..40", Between: true}

var mergesAndScans = &Workload{Name: "merges-and-scans", Group: "own", Loaded: true, Load: "fillrandom", Writes: true, Needs: engine.Merge,
	Shares: []Share{{MergeOperand, 3}, {Read, 3}, {Update, 1}, {Delete, 1}, {Scan, 1}, {MultiRead, 1}, {ReverseScan, 1}}, Scan: "1..20", Multi: 5}

var mergesAndReads = &Workload{Name: "merges-and-reads", Group: "own", Loaded: true, Load: "fillrandom", Writes: true, Needs: engine.Merge,
	Shares: []Share{{MergeOperand, 3}, {Read, 3}}}

func own(name string) *Workload {
	for _, w := range []*Workload{writesAndReads, scansAndWrites, reverseScans, mergesAndScans, mergesAndReads} {
		if w.Name == name {
			return w
		}
	}
	w, _ := Find(name)
	return w
}

var ownNames = []string{"writes-and-reads", "scans-and-writes", "reverse-scans", "merges-and-scans", "merges-and-reads"}

func TestAnHonestEnginePassesTheMixesThatCatchLies(t *testing.T) {
	for _, name := range ownNames {
		for _, threads := range []int{1, 4} {
			t.Run(fmt.Sprintf("%s/%d", name, threads), func(t *testing.T) {
				t.Parallel()
				m := NewModel(testData(t, 300, "20..300"))
				store := newMemory(t)
				if err := load(store, m, own(name), threads); err != nil {
					t.Fatal(err)
				}
				if _, _, err := runWorkload(own(name), Config{Store: store, Model: m, Threads: threads, Operations: 6000}); err != nil {
					t.Fatal(err)
				}
				for _, after := range []string{"readseq", "readreverse", "readrandom"} {
					if _, _, err := runWorkload(own(after), Config{Store: store, Model: m, Threads: threads, Operations: 2000}); err != nil {
						t.Fatalf("%s afterwards: %v", after, err)
					}
				}
				checkLive(t, store, m)
			})
		}
	}
}

// checkLive compares Model.Live with what is in the store.
func checkLive(t *testing.T, store engine.Store, m *Model) {
	t.Helper()
	c, err := store.NewCursor(engine.CursorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := readEntries(c, c.First(), -1, nil)
	if err = errors.Join(err, c.Close()); err != nil {
		t.Fatal(err)
	}
	if count, size := m.Live(); count != out.Items || size != uint64(out.Bytes) {
		t.Errorf("the model has %d keys of %d bytes, the store %d of %d", count, size, out.Items, out.Bytes)
	}
}

// lies are the ways in which an engine may lie, with the workloads each of which
// has to catch it. They are run one after the other on the data that the first
// needs; all but the last may pass, if last is set.
var lies = []struct {
	name       string
	every      uint64
	operations uint64 // 0: 4000
	lie        liar
	in         []string // each catches it
	last       []string // run after each other, the last one catches it
}{
	{name: "a put is lost", every: 50, in: []string{"writes-and-reads", "ycsb-a", "ycsb-f", "ycsb-d"}, last: []string{"overwrite", "readseq"},
		lie: liar{put: func(l *liar, key, value []byte) error {
			if l.now() {
				return nil
			}
			return l.honest.Put(key, value)
		}}},
	{name: "a put goes to another key", every: 50, in: []string{"writes-and-reads", "scans-and-writes"}, last: []string{"overwrite", "readreverse"},
		lie: liar{put: func(l *liar, key, value []byte) error {
			if l.now() {
				key = between(key)
			}
			return l.honest.Put(key, value)
		}}},
	{name: "a stale value is read", every: 20, in: []string{"writes-and-reads", "ycsb-a", "ycsb-f", "updaterandom"},
		last: []string{"overwrite", "readrandom"},
		lie: liar{
			put: func(l *liar, key, value []byte) error {
				l.remember(key)
				return l.honest.Put(key, value)
			},
			get: func(l *liar, dst, key []byte) ([]byte, error) {
				if old := l.replaced(key); old != nil && l.now() {
					return append(dst, old...), nil
				}
				return l.honest.Get(dst, key)
			}}},
	{name: "a scan shows a stale value", every: 5, in: []string{"scans-and-writes"}, last: []string{"overwrite", "seekrandom"},
		lie: liar{
			put: func(l *liar, key, value []byte) error {
				l.remember(key)
				return l.honest.Put(key, value)
			},
			entries: func(l *liar, list []shown) []shown {
				for i := range list {
					if old := l.replaced(list[i].key); old != nil {
						list[i].value = old
					}
				}
				return list
			}}},
	{name: "the value of another key is read", every: 50, in: []string{"readrandom", "readhot", "readwhilewriting", "ycsb-c", "large"},
		lie: liar{get: func(l *liar, dst, key []byte) ([]byte, error) {
			value, err := l.honest.Get(nil, key)
			l.mu.Lock()
			defer l.mu.Unlock()
			last := l.last
			l.last = bytes.Clone(value)
			if err == nil && last != nil && !bytes.Equal(last[:8], value[:8]) && l.now() {
				value = last
			}
			return append(dst, value...), err
		}}},
	{name: "a byte is flipped", every: 50, in: []string{"readrandom", "writes-and-reads", "ycsb-b", "mixgraph", "large", "bank"},
		lie: liar{
			get: spoiled(func(v []byte) []byte { v[len(v)*2/3] ^= 4; return v }),
			update: func(l *liar, fn func(engine.Tx) error) (int, error) {
				return l.honest.(engine.Transactor).Update(func(tx engine.Tx) error {
					return fn(&liarTx{Tx: tx, get: func(v []byte) { v[len(v)*2/3] ^= 4 }, lies: l.now()})
				})
			}}},
	{name: "a value is cut off", every: 50, in: []string{"readrandom", "writes-and-reads", "ycsb-b"},
		lie: liar{get: spoiled(func(v []byte) []byte { return v[:len(v)-1] })}},
	{name: "a value is cut off within its header", every: 50, in: []string{"readrandom"},
		lie: liar{get: spoiled(func(v []byte) []byte { return v[:9] })}},
	{name: "a value is empty", every: 50, in: []string{"readrandom"},
		lie: liar{get: spoiled(func(v []byte) []byte { return nil })}},
	{name: "a value has a byte too many", every: 50, in: []string{"readrandom"},
		lie: liar{get: spoiled(func(v []byte) []byte { return append(v, 0) })}},
	{name: "a value is there twice", every: 50, in: []string{"readrandom"},
		lie: liar{get: spoiled(func(v []byte) []byte { return append(v, v...) })}},
	{name: "a deletion is lost", every: 5, operations: 700, in: []string{"writes-and-reads", "scans-and-writes"},
		last: []string{"deleterandom", "readrandom"},
		lie: liar{remove: func(l *liar, key []byte) error {
			if l.now() {
				return nil
			}
			return l.honest.Delete(key)
		}}},
	{name: "a deletion is lost when all is deleted", every: 30, operations: 300, last: []string{"deleteseq", "readseq"},
		lie: liar{remove: func(l *liar, key []byte) error {
			if l.now() {
				return nil
			}
			return l.honest.Delete(key)
		}}},
	{name: "a scan shows a key that was never put", every: 8,
		in: []string{"readseq", "readreverse", "seekrandom", "seekrandomwhilewriting", "ycsb-e", "scans-and-writes", "reverse-scans"},
		lie: liar{entries: func(l *liar, list []shown) []shown {
			return slices.Insert(list, 3, shown{between(list[2].key), list[2].value})
		}}},
	{name: "a scan skips a key", every: 8,
		in:  []string{"readseq", "readreverse", "seekrandom", "seekrandomwhilewriting", "ycsb-e", "scans-and-writes", "reverse-scans"},
		lie: liar{entries: func(l *liar, list []shown) []shown { return slices.Delete(list, 3, 4) }}},
	{name: "a scan skips the first key", every: 8,
		in:  []string{"readseq", "readreverse", "seekrandom", "seekrandomwhilewriting", "ycsb-e", "scans-and-writes", "reverse-scans"},
		lie: liar{entries: func(l *liar, list []shown) []shown { return list[1:] }}},
	{name: "a scan is out of order", every: 8,
		in: []string{"readseq", "readreverse", "seekrandom", "seekrandomwhilewriting", "ycsb-e", "scans-and-writes", "reverse-scans"},
		lie: liar{entries: func(l *liar, list []shown) []shown {
			list[2], list[3] = list[3], list[2]
			return list
		}}},
	{name: "a scan shows a key twice", every: 8,
		in:  []string{"readseq", "readreverse", "seekrandom", "seekrandomwhilewriting", "ycsb-e", "scans-and-writes", "reverse-scans"},
		lie: liar{entries: func(l *liar, list []shown) []shown { return slices.Insert(list, 3, list[3]) }}},
	{name: "a scan ends early", every: 1,
		in:  []string{"readseq", "readreverse", "seekrandom", "seekrandomwhilewriting", "ycsb-e", "scans-and-writes", "reverse-scans"},
		lie: liar{entries: func(l *liar, list []shown) []shown { return nil }}},
	{name: "a scan shows another key's value", every: 8, in: []string{"readseq", "seekrandom", "scans-and-writes"},
		lie: liar{entries: func(l *liar, list []shown) []shown { list[1].value = list[2].value; return list }}},
	{name: "half a batch is lost", every: 3, in: []string{"writes-and-reads"}, last: []string{"fillbatch", "readseq"},
		lie: liar{batch: func(l *liar, puts []shown) []shown { return puts[:len(puts)/2] }}},
	{name: "a missing key is found", every: 50, in: []string{"readmissing"},
		lie: liar{get: func(l *liar, dst, key []byte) ([]byte, error) {
			value, err := l.honest.Get(dst, key)
			if err != nil && l.now() {
				return append(dst, "something"...), nil
			}
			return value, err
		}}},
	{name: "a present key is not found", every: 50, in: []string{"readrandom", "writes-and-reads", "ycsb-a", "ycsb-d", "readwhilewriting"},
		lie: liar{get: func(l *liar, dst, key []byte) ([]byte, error) {
			if l.now() {
				return dst, engine.ErrNotFound
			}
			return l.honest.Get(dst, key)
		}}},
	{name: "an operand of a merge is lost", every: 50, in: []string{"merges-and-scans", "merges-and-reads"}, last: []string{"mergerandom", "readrandom"},
		lie: liar{merge: func(l *liar, key, operand []byte) error {
			if l.now() {
				return nil
			}
			return l.honest.(engine.Merger).Merge(key, operand)
		}}},
	{name: "a merge forgets what was there", every: 50, in: []string{"merges-and-scans", "merges-and-reads"}, last: []string{"mergerandom", "readseq"},
		lie: liar{merge: func(l *liar, key, operand []byte) error {
			if l.now() {
				return l.honest.Put(key, operand)
			}
			return l.honest.(engine.Merger).Merge(key, operand)
		}}},
	{name: "an operand is merged twice", every: 50, in: []string{"merges-and-scans", "merges-and-reads"}, last: []string{"mergerandom", "readrandom"},
		lie: liar{merge: func(l *liar, key, operand []byte) error {
			if l.now() {
				operand = append(bytes.Clone(operand), operand...)
			}
			return l.honest.(engine.Merger).Merge(key, operand)
		}}},
	{name: "answers of a multiget are swapped", every: 3, in: []string{"multireadrandom", "writes-and-reads"},
		lie: liar{many: func(l *liar, keys [][]byte, see func(int, []byte, error) error) error {
			lies := l.now()
			for i, key := range keys {
				if lies && i < 2 {
					key = keys[1-i]
				}
				value, err := l.honest.Get(nil, key)
				if err := see(i, value, err); err != nil {
					return err
				}
			}
			return nil
		}}},
	{name: "a multiget leaves an answer out", every: 3, in: []string{"multireadrandom", "writes-and-reads"},
		lie: liar{many: func(l *liar, keys [][]byte, see func(int, []byte, error) error) error {
			lies := l.now()
			for i, key := range keys {
				value, err := l.honest.Get(nil, key)
				if lies && i == 1 {
					continue
				}
				if err := see(i, value, err); err != nil {
					return err
				}
			}
			return nil
		}}},
	{name: "a multiget shows a key twice", every: 3, in: []string{"multireadrandom"},
		lie: liar{many: func(l *liar, keys [][]byte, see func(int, []byte, error) error) error {
			for range keys {
				value, err := l.honest.Get(nil, keys[0])
				if err := see(0, value, err); err != nil {
					return err
				}
			}
			return nil
		}}},
	{name: "a transaction is lost", every: 50, in: []string{"bank", "rmwcontended"},
		lie: liar{update: func(l *liar, fn func(engine.Tx) error) (int, error) {
			lies := l.now()
			return l.honest.(engine.Transactor).Update(func(tx engine.Tx) error { return fn(&liarTx{Tx: tx, lies: lies, loses: 2}) })
		}}},
	{name: "a write of a transaction is lost", every: 50, in: []string{"bank"},
		lie: liar{update: func(l *liar, fn func(engine.Tx) error) (int, error) {
			lies := l.now()
			return l.honest.(engine.Transactor).Update(func(tx engine.Tx) error { return fn(&liarTx{Tx: tx, lies: lies, loses: 1}) })
		}}},
	{name: "transactions are not isolated", every: 1, in: []string{"bank", "rmwcontended"},
		lie: liar{update: func(l *liar, fn func(engine.Tx) error) (int, error) { return 0, fn(noTx{l.honest}) }}},
}

type liarTx struct {
	engine.Tx
	get   func([]byte)
	lies  bool
	loses int
}

func (t *liarTx) Get(dst, key []byte) ([]byte, error) {
	value, err := t.Tx.Get(dst, key)
	if t.lies && err == nil && t.get != nil {
		t.get(value)
	}
	return value, err
}

func (t *liarTx) Put(key, value []byte) error {
	if t.lies && t.loses > 0 {
		t.loses--
		return nil
	}
	return t.Tx.Put(key, value)
}

// noTx is a transaction that is none.
type noTx struct{ s engine.Store }

func (t noTx) Get(dst, key []byte) ([]byte, error) {
	value, err := t.s.Get(dst, key)
	for range 3 {
		runtime.Gosched()
	}
	return value, err
}
func (t noTx) Put(key, value []byte) error { return t.s.Put(key, value) }
func (t noTx) Delete(key []byte) error     { return t.s.Delete(key) }

// tellLies loads honestly what the first workload needs, and runs all with a liar.
func tellLies(t *testing.T, lie *liar, every, operations uint64, names []string, threads int) error {
	t.Helper()
	first := own(names[0])
	d, err := first.DataFor(testData(t, 300, "20..300"))
	if err != nil {
		t.Fatal(err)
	}
	honest, m := newMemory(t), NewModel(d)
	if err := load(honest, m, first, 1); err != nil {
		t.Fatal(err)
	}
	store := &liar{honest: honest, every: every, older: map[string][]byte{}, get: lie.get, put: lie.put, remove: lie.remove,
		merge: lie.merge, putTTL: lie.putTTL, update: lie.update, many: lie.many, entries: lie.entries, batch: lie.batch}
	if d.Sizes.Mean() > 1000 {
		operations = 150
	}
	for i, name := range names {
		if _, _, err = runWorkload(own(name), Config{Store: store, Model: m, Threads: threads, Operations: operations, BatchSize: 10}); err != nil {
			if i < len(names)-1 {
				t.Errorf("caught by %s already: %v", name, err)
			}
			break
		}
	}
	return err
}

func TestEveryLieIsCaught(t *testing.T) {
	for i := range lies {
		l := &lies[i]
		sequences := [][]string{}
		for _, name := range l.in {
			sequences = append(sequences, []string{name})
		}
		if l.last != nil {
			sequences = append(sequences, l.last)
		}
		for _, names := range sequences {
			t.Run(fmt.Sprintf("%s/%s", l.name, names[len(names)-1]), func(t *testing.T) {
				t.Parallel()
				for _, threads := range []int{1, 3} {
					if threads == 1 && (testing.Short() || l.name == "transactions are not isolated") {
						continue
					}
					err := tellLies(t, &l.lie, l.every, cmp.Or(l.operations, 4000), names, threads)
					wrong, ok := errors.AsType[*WrongAnswer](err)
					if !ok {
						t.Fatalf("%d threads: %v", threads, err)
					}
					if wrong.Problem == "" {
						t.Errorf("it says nothing: %v", err)
					}
				}
			})
		}
	}
}

func TestALiarThatDoesNotLieIsNotCaught(t *testing.T) {
	honest := &liar{
		get:     spoiled(func(v []byte) []byte { return v }),
		entries: func(l *liar, list []shown) []shown { return list },
		batch:   func(l *liar, puts []shown) []shown { return puts },
	}
	for _, name := range append([]string{"readseq", "readreverse", "seekrandom", "ycsb-a", "ycsb-d", "ycsb-e", "multireadrandom",
		"bank", "rmwcontended", "fillbatch", "mergerandom", "seekrandomwhilewriting"}, ownNames...) {
		for _, threads := range []int{1, 3} {
			if err := tellLies(t, honest, 1, 4000, []string{name}, threads); err != nil && name != "writes-and-reads" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestValuesShownAfterTheirTimeAreCaught(t *testing.T) {
	ttl := func(l *liar, key, value []byte, ttl time.Duration) error {
		if l.now() {
			return l.honest.Put(key, value)
		}
		return l.honest.(engine.Expirer).PutTTL(key, value, ttl)
	}
	for _, c := range []struct {
		name  string
		lie   func(*liar, []byte, []byte, time.Duration) error
		wait  time.Duration
		ttl   time.Duration
		wrong bool
	}{
		{"honest", nil, 1300 * time.Millisecond, 50 * time.Millisecond, false},
		{"kept for ever", ttl, 1300 * time.Millisecond, 50 * time.Millisecond, true},
		{"gone at once", func(l *liar, key, value []byte, ttl time.Duration) error {
			return l.honest.(engine.Expirer).PutTTL(key, value, time.Nanosecond)
		}, 0, time.Hour, true},
	} {
		for _, reader := range []string{"readrandom", "readseq", "seekrandom", "multireadrandom"} {
			t.Run(c.name+"/"+reader, func(t *testing.T) {
				t.Parallel()
				m := NewModel(testData(t, 200, "20..300"))
				store := &liar{honest: newMemory(t), every: 20, putTTL: c.lie}
				w, _ := Find("ttlchurn")
				puts := *w
				puts.Shares = only(PutTTL)
				config := Config{Store: store, Model: m, Threads: 2, Operations: 2000, TTL: c.ttl}
				if _, _, err := runWorkload(&puts, config); err != nil {
					t.Fatal(err)
				}
				time.Sleep(c.wait)
				_, _, err := runWorkload(own(reader), config)
				if _, wrong := errors.AsType[*WrongAnswer](err); wrong != c.wrong || !c.wrong && err != nil {
					t.Errorf("%v", err)
				}
			})
		}
	}
}
