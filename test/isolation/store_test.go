package isolation

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
	"github.com/cordwood-db/cordwood/vfs"
)

// store is the engine under test, with files so small that background work
// never ends.
type store struct {
	dir  string
	opts db.Options

	db     *db.DB
	places [spaces]*db.Keyspace
	rand   atomic.Uint64 // seeds the choices of each transaction

	commits, conflicts, disturbances atomic.Int64

	// For disturb, which one goroutine calls.
	held     *db.Snapshot
	heldHash uint64
	junk     int
}

// smallOptions are those of most stores here.
func smallOptions() db.Options {
	return db.Options{
		MemoryMax: 8 << 20, MemtableBytes: 8 << 10, TableBytes: 32 << 10, BlockBytes: 1 << 10, ValueThreshold: 512,
		SyncInterval: 20 * time.Millisecond, Merge: db.Append(),
	}
}

// openStore opens a store that is closed with the test.
func openStore(t *testing.T, dir string, o db.Options) *store {
	t.Helper()
	s := &store{dir: dir, opts: o}
	s.opts.Events = func(e db.Event) {
		if l, ok := e.(db.Leak); ok {
			t.Errorf("%s left open: %s", l.What, l.Where)
		}
	}
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// media are where stores lie.
func media(t *testing.T, test func(t *testing.T, s *store)) {
	t.Run("memory", func(t *testing.T) {
		o := smallOptions()
		o.FS = vfs.NewMem()
		test(t, openStore(t, "/store", o))
	})
	t.Run("disk", func(t *testing.T) { test(t, openStore(t, t.TempDir(), smallOptions())) })
}

func (s *store) open() error {
	d, err := db.Open(s.dir, &s.opts)
	if err != nil {
		return err
	}
	s.db = d
	s.places[0] = d.Default()
	for i := 1; i < spaces; i++ {
		s.places[i], err = d.Keyspace(fmt.Sprint("space", i), &db.KeyspaceOptions{Merge: db.Append()})
		if err != nil {
			return errors.Join(err, d.Close())
		}
	}
	return nil
}

func (s *store) close() error { return errors.Join(s.letGo(), s.db.Close()) }

func (s *store) reopen() error {
	if err := s.close(); err != nil {
		return err
	}
	return s.open()
}

// disturb does one thing that no transaction may notice.
func (s *store) disturb(r *rand.Rand) error {
	s.disturbances.Add(1)
	ctx := context.Background()
	switch n := r.IntN(40); {
	case n < 14:
		return s.db.Flush(ctx)
	case n < 22:
		return s.places[r.IntN(spaces)].Compact(ctx, db.All())
	case n < 26:
		return s.db.CollectGarbage(ctx, 0)
	case n < 35:
		if s.held != nil {
			return s.letGo()
		}
		return s.hold()
	case n < 38:
		return s.passing()
	}
	return s.flood(48)
}

// hold opens a snapshot and notes what it shows.
func (s *store) hold() error {
	var err error
	if s.held, err = s.db.Snapshot(); err == nil {
		s.heldHash, err = s.hash(s.held)
	}
	return err
}

// letGo closes the snapshot, if there is one: it shows what it showed.
func (s *store) letGo() error {
	if s.held == nil {
		return nil
	}
	now, err := s.hash(s.held)
	if err == nil && now != s.heldHash {
		err = errors.New("a snapshot has changed")
	}
	err = errors.Join(err, s.held.Close())
	s.held = nil
	return err
}

// hash is that of everything that a snapshot shows.
func (s *store) hash(snap *db.Snapshot) (uint64, error) {
	h := fnv.New64a()
	for _, ks := range s.places {
		for it, err := range snap.In(ks).Scan(db.All()) {
			if err != nil {
				return 0, err
			}
			v, err := it.Value()
			if err != nil {
				return 0, err
			}
			fmt.Fprintf(h, "%q=%q,", it.Key(), v)
		}
	}
	return h.Sum64(), nil
}

// passing makes a keyspace, writes to it and drops it.
func (s *store) passing() error {
	s.junk++
	name := fmt.Sprint("passing", s.junk)
	ks, err := s.db.Keyspace(name, nil)
	if err != nil {
		return err
	}
	return errors.Join(ks.Put([]byte("key"), make([]byte, 2000)), s.db.DropKeyspace(name))
}

// flood writes n of the longest keys; with 48, more than any list of recent
// writes in memory holds.
func (s *store) flood(n int) error {
	b := s.db.NewBatch()
	key := bytes.Repeat([]byte{0xff}, db.MaxKeyBytes)
	for i := range n {
		key[1], key[2] = byte(i), byte(s.junk)
		if err := b.In(s.places[spaces-1]).Delete(key); err != nil {
			return err
		}
	}
	return s.db.Apply(b, db.NoSync)
}

func (s *store) begin(level depgraph.Level, readOnly bool) (txn, error) {
	o := db.TxOptions{ReadOnly: readOnly, Isolation: db.Serializable}
	if level == depgraph.SnapshotIsolation {
		o.Isolation = db.SnapshotIsolation
	}
	x, err := s.db.Begin(o)
	if err != nil {
		return nil, err
	}
	return &storeTxn{s: s, x: x, readOnly: readOnly, r: rand.New(rand.NewPCG(s.rand.Add(1), 9))}, nil
}

// storeTxn does each thing in one of the ways that the store has for it.
type storeTxn struct {
	s        *store
	x        *db.Tx
	readOnly bool
	r        *rand.Rand
}

func (x *storeTxn) in(space int) *db.Tx {
	if space == 0 && x.r.IntN(2) == 0 {
		return x.x
	}
	return x.x.In(x.s.places[space])
}

func (x *storeTxn) get(space int, key string) (string, bool, error) {
	tx, k := x.in(space), []byte(key)
	var v []byte
	var err error
	n := x.r.IntN(5)
	if x.readOnly {
		n = x.r.IntN(4) // GetForUpdate is for those who write
	}
	switch n {
	case 0:
		v, err = tx.AppendGet(nil, k)
	case 1:
		ok, err := tx.Has(k)
		if err != nil || !ok {
			return "", false, err
		}
		v, err = tx.Get(k)
		return string(v), true, err
	case 2:
		all, err := tx.MultiGet([]byte("not there"), k)
		if err != nil || all[1] == nil {
			return "", false, err
		}
		return string(all[1]), true, nil
	case 3:
		v, err = tx.Get(k)
	default:
		v, err = tx.GetForUpdate(k)
	}
	if errors.Is(err, db.ErrNotFound) {
		return "", false, nil
	}
	return string(v), true, err
}

func (x *storeTxn) put(space int, key, value string) error {
	if x.r.IntN(8) == 0 {
		return x.in(space).PutTTL([]byte(key), []byte(value), time.Hour)
	}
	return x.in(space).Put([]byte(key), []byte(value))
}

func (x *storeTxn) append(space int, key, element string) error {
	return x.in(space).Merge([]byte(key), []byte(element))
}

func (x *storeTxn) remove(space int, key string) error {
	if x.r.IntN(4) == 0 {
		return x.in(space).DeleteRange(db.Between([]byte(key), append([]byte(key), 0)))
	}
	return x.in(space).Delete([]byte(key))
}

func (x *storeTxn) removeRange(space int, start, end string) error {
	return x.in(space).DeleteRange(db.Between([]byte(start), []byte(end)))
}

func (x *storeTxn) scan(space int, start, end string, backward bool) ([]pair, error) {
	r := db.Between([]byte(start), []byte(end))
	if x.r.IntN(2) == 0 {
		return x.walk(space, r, backward)
	}
	if backward {
		r = r.Backward()
	}
	var found []pair
	for it, err := range x.in(space).Scan(r) {
		if err != nil {
			return nil, err
		}
		v, err := it.Value()
		if err != nil {
			return nil, err
		}
		found = append(found, pair{string(it.Key()), string(v)})
	}
	return found, nil
}

// walk is a scan with a cursor.
func (x *storeTxn) walk(space int, r db.Range, backward bool) (found []pair, err error) {
	c, err := x.in(space).NewCursor(r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	first, next := c.First, c.Next
	if backward {
		first, next = c.Last, c.Prev
	}
	for ok := first(); ok; ok = next() {
		v, err := c.Value()
		if err != nil {
			return nil, err
		}
		found = append(found, pair{string(c.Key()), string(v)})
	}
	return found, c.Err()
}

func (x *storeTxn) commit() error {
	err := x.x.Commit()
	if errors.Is(err, db.ErrConflict) || errors.Is(err, db.ErrTxTooOld) {
		x.s.conflicts.Add(1)
		return errConflict
	}
	x.s.commits.Add(1)
	return err
}

func (x *storeTxn) discard() { x.x.Discard() }

// tally says how much a run has done.
func (s *store) tally(t *testing.T) {
	t.Helper()
	t.Logf("%d commits, %d conflicts, %d disturbances", s.commits.Load(), s.conflicts.Load(), s.disturbances.Load())
}

func TestLists(t *testing.T) {
	for level, txns := range map[depgraph.Level]int{depgraph.Serializable: 3200, depgraph.SnapshotIsolation: 1600} {
		t.Run(levelName(level), func(t *testing.T) {
			media(t, func(t *testing.T, s *store) {
				c := listsConfig{level: level, rounds: size(txns) / 400, txns: 400, seed: testkit.Seed(t)}
				if err := runLists(s, c); err != nil {
					t.Fatal(err)
				}
				s.tally(t)
			})
		})
	}
}

func TestTransactions(t *testing.T) {
	media(t, func(t *testing.T, s *store) {
		if err := runTransactions(s, transactionsConfig{rounds: size(20), txns: 200, seed: testkit.Seed(t)}); err != nil {
			t.Fatal(err)
		}
		s.tally(t)
	})
}

// flooded is a store in which recent writes are soon forgotten.
type flooded struct{ *store }

func (f flooded) disturb(r *rand.Rand) error {
	for range 8 {
		if err := f.flood(1 + r.IntN(24)); err != nil {
			return err
		}
	}
	return f.store.disturb(r)
}

func TestTransactionsInAFlood(t *testing.T) {
	o := smallOptions()
	o.FS, o.MemtableBytes = vfs.NewMem(), 1<<20
	s := openStore(t, "/store", o)
	if err := runTransactions(flooded{s}, transactionsConfig{rounds: size(8), txns: 200, seed: testkit.Seed(t)}); err != nil {
		t.Fatal(err)
	}
	s.tally(t)
}

func TestBank(t *testing.T) {
	for level, txns := range map[depgraph.Level]int{depgraph.Serializable: 1600, depgraph.SnapshotIsolation: 1600} {
		t.Run(levelName(level), func(t *testing.T) {
			media(t, func(t *testing.T, s *store) {
				c := bankConfig{level: level, rounds: size(txns) / 400, txns: 400, seed: testkit.Seed(t)}
				if err := runBank(s, c); err != nil {
					t.Fatal(err)
				}
				s.tally(t)
			})
		})
	}
}

// pauses are what can happen between two steps of an interleaving.
var pauses = map[string]func(s *store) error{
	"nothing": func(*store) error { return nil },
	"flush":   func(s *store) error { return s.db.Flush(context.Background()) },
	"compaction": func(s *store) error {
		err := s.db.Flush(context.Background())
		for _, ks := range s.places {
			err = errors.Join(err, ks.Compact(context.Background(), db.All()))
		}
		return errors.Join(err, s.db.CollectGarbage(context.Background(), 0))
	},
	"flood": func(s *store) error { return s.flood(48) },
}

func TestTable(t *testing.T) {
	for name, pause := range pauses {
		t.Run(name, func(t *testing.T) {
			runTable(t, func(t *testing.T) engine {
				o := smallOptions()
				o.FS = vfs.NewMem()
				return openStore(t, "/store", o)
			}, func(t *testing.T, e engine, commit bool) {
				if name == "flood" && !commit {
					return // once is enough
				}
				if err := pause(e.(*store)); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// counters run Update from many goroutines on few keys: no addition is lost,
// however often the function runs.
func TestUpdateRetriesUntilNothingIsLost(t *testing.T) {
	media(t, func(t *testing.T, s *store) {
		const clients, keys = 8, 3
		each := size(100)
		var wg sync.WaitGroup
		errs := make([]error, clients)
		for client := range clients {
			wg.Go(func() {
				r := rand.New(rand.NewPCG(uint64(client), 10))
				for range each {
					k := fmt.Appendf(nil, "counter%d", r.IntN(keys))
					err := s.db.UpdateWith(context.Background(), db.TxOptions{TriesMax: triesMax}, func(tx *db.Tx) error {
						return addOne(tx, k)
					})
					if err != nil {
						errs[client] = err
						return
					}
				}
			})
		}
		wg.Wait()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for k := range keys {
			v, err := s.db.Get(fmt.Appendf(nil, "counter%d", k))
			if err != nil {
				t.Fatal(err)
			}
			n, err := db.CounterValue(v)
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
		if want := int64(clients * each); sum != want {
			t.Errorf("%d additions, want %d", sum, want)
		}
	})
}

func addOne(tx *db.Tx, key []byte) error {
	n := int64(0)
	v, err := tx.Get(key)
	if err == nil {
		n, err = db.CounterValue(v)
	} else if errors.Is(err, db.ErrNotFound) {
		err = nil
	}
	if err != nil {
		return err
	}
	return tx.Put(key, db.CounterBytes(n+1))
}
