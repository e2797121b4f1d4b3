package main

import (
	"bytes"
	"context"
	"errors"
	"math"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"go.etcd.io/bbolt"

	"github.com/cordwood-db/cordwood/bench/engine"
)

func init() {
	engine.Register(&engine.Engine{
		Name:      "bbolt",
		Title:     "bbolt",
		Module:    "go.etcd.io/bbolt",
		Abilities: engine.Transactions,
		Settings:  bboltSettings,
		Open:      openBbolt,
	})
}

// bboltBucket holds all keys.
var bboltBucket = []byte("kv")

const (
	bboltBatchDelay  = time.Millisecond
	bboltLockTimeout = 5 * time.Second
	// A transaction of a bulk load has at most so much.
	bboltLoadKeys  = 100_000
	bboltLoadBytes = 64 << 20
)

// bboltMmap is how much address space the file gets. On Windows the file would
// be made as large at once.
func bboltMmap(o engine.Options) int {
	if math.MaxInt == math.MaxInt32 || runtime.GOOS == "windows" {
		return 0
	}
	return max(10<<30, 4*o.Keys*(o.KeyBytes+o.ValueBytes))
}

// bboltCombines tells whether single writes go through DB.Batch.
func bboltCombines(o engine.Options) bool { return o.Sync && o.Threads > 1 }

// bboltCall names the call for writes and transactions.
func bboltCall(o engine.Options) string {
	if bboltCombines(o) {
		return "DB.Batch"
	}
	return "DB.Update"
}

func bboltSettings(o engine.Options) []engine.Setting {
	settings := []engine.Setting{
		{Name: "memory", Value: "the page cache",
			Why: "it has no memtables and no cache of its own: it reads its file through mmap, so that the budget of the others does not bind it"},
		{Name: "filters", Value: "none", Why: "a B+ tree has none"},
		{Name: "compression", Value: "none", Why: "it has none"},
		{Name: "FreelistType", Value: "hashmap", Why: "documentation of Options: faster in almost all circumstances"},
		{Name: "NoFreelistSync", Value: "true",
			Why: "documentation of Options: improves write performance; opening then scans the file. etcd sets it"},
		{Name: "InitialMmapSize", Value: engine.Size(int64(bboltMmap(o))),
			Why: "documentation of DB.Begin: large enough that long reads do not block writers. 10 GiB is etcd's, more for more data; Windows and 32 bits: 0"},
		{Name: "NoStatistics", Value: "true", Why: "documentation of Options: for concurrent reads"},
		{Name: "NoGrowSync", Value: "false", Why: "documentation of DB: true is not safe on ext3 and ext4"},
		{Name: "FillPercent", Value: "0.5, bulk load 1",
			Why: "documentation of Bucket: default, and more for what only appends"},
		{Name: "transactions", Value: bboltCall(o), Why: "serializable; one at a time writes"},
	}
	if !o.Sync {
		return append(settings, engine.Setting{Name: "NoSync", Value: "true",
			Why: "as for all engines, a commit survives the process only. Unlike the others, the file may be damaged by a power loss then"})
	}
	settings = append(settings, engine.Setting{Name: "NoSync", Value: "false", Why: "as for all engines, a commit survives power loss"})
	if !bboltCombines(o) {
		return append(settings, engine.Setting{Name: "writes", Value: "DB.Update", Why: "documentation of DB.Batch: only useful with several goroutines"})
	}
	return append(settings,
		engine.Setting{Name: "writes", Value: "DB.Batch", Why: "README: combines concurrent writes in one transaction, to sync once for all"},
		engine.Setting{Name: "MaxBatchSize", Value: strconv.Itoa(o.Threads), Why: "all threads: there is nobody else to wait for"},
		engine.Setting{Name: "MaxBatchDelay", Value: bboltBatchDelay.String(),
			Why: "about an fsync: with the default of 10 ms a thread would wait for others that read"})
}

func openBbolt(o engine.Options) (engine.Store, error) {
	opened, err := bbolt.Open(filepath.Join(o.Dir, "bbolt.db"), 0o644, &bbolt.Options{
		Timeout:         bboltLockTimeout,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: bboltMmap(o),
		NoSync:          !o.Sync,
		NoStatistics:    true,
	})
	if err != nil {
		return nil, err
	}
	err = opened.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bboltBucket)
		return err
	})
	if err != nil {
		return nil, errors.Join(err, opened.Close())
	}
	s := &bboltStore{db: opened, write: opened.Update}
	if bboltCombines(o) {
		opened.MaxBatchSize, opened.MaxBatchDelay = o.Threads, bboltBatchDelay
		s.write = opened.Batch
	}
	return s, nil
}

// bboltStore is an open file.
type bboltStore struct {
	db *bbolt.DB
	// write runs a function in a transaction, maybe more than once.
	write func(func(*bbolt.Tx) error) error
}

func (s *bboltStore) Get(dst, key []byte) ([]byte, error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		return dst, err
	}
	value := tx.Bucket(bboltBucket).Get(key)
	if value == nil {
		err = engine.ErrNotFound
	}
	dst = append(dst, value...)
	if e := tx.Rollback(); e != nil {
		err = e
	}
	return dst, err
}

func (s *bboltStore) MultiGet(keys [][]byte, see func(i int, value []byte, err error) error) error {
	return s.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bboltBucket)
		for i, key := range keys {
			var missing error
			value := bucket.Get(key)
			if value == nil {
				missing = engine.ErrNotFound
			}
			if err := see(i, value, missing); err != nil {
				return err
			}
		}
		return nil
	})
}

func (s *bboltStore) Put(key, value []byte) error {
	return s.write(func(tx *bbolt.Tx) error { return tx.Bucket(bboltBucket).Put(key, value) })
}

func (s *bboltStore) Delete(key []byte) error {
	return s.write(func(tx *bbolt.Tx) error { return tx.Bucket(bboltBucket).Delete(key) })
}

// Settle has no background work to wait for.
func (s *bboltStore) Settle(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.db.Sync()
}

func (s *bboltStore) Close() error { return s.db.Close() }

// BulkLoad appends in large transactions, with pages that are full.
func (s *bboltStore) BulkLoad(ctx context.Context, next func() (key, value []byte, ok bool)) error {
	var held []byte // values must not change until their transaction ends
	for more := true; more; {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := s.db.Update(func(tx *bbolt.Tx) error {
			bucket := tx.Bucket(bboltBucket)
			bucket.FillPercent = 1
			held = held[:0]
			for n := 0; n < bboltLoadKeys && len(held) < bboltLoadBytes; n++ {
				var key, value []byte
				if key, value, more = next(); !more {
					return nil
				}
				from := len(held)
				held = append(held, value...)
				if err := bucket.Put(key, held[from:len(held):len(held)]); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return s.db.Sync()
}

// Update implements engine.Transactor. There are no conflicts: one transaction
// writes at a time. DB.Batch runs fn again if it, or another in its batch, fails.
func (s *bboltStore) Update(fn func(engine.Tx) error) (retries int, err error) {
	tries := 0
	err = s.write(func(tx *bbolt.Tx) error {
		tries++
		return fn(bboltTx{tx.Bucket(bboltBucket)})
	})
	return max(tries-1, 0), err
}

// View implements engine.Viewer.
func (s *bboltStore) View(fn func(engine.Tx) error) error {
	return s.db.View(func(tx *bbolt.Tx) error { return fn(bboltTx{tx.Bucket(bboltBucket)}) })
}

// bboltTx is a transaction.
type bboltTx struct{ bucket *bbolt.Bucket }

func (t bboltTx) Get(dst, key []byte) ([]byte, error) {
	value := t.bucket.Get(key)
	if value == nil {
		return dst, engine.ErrNotFound
	}
	return append(dst, value...), nil
}

// Put copies the value, which has to live as long as the transaction, and must
// not be nil.
func (t bboltTx) Put(key, value []byte) error {
	return t.bucket.Put(key, append([]byte{}, value...))
}

func (t bboltTx) Delete(key []byte) error { return t.bucket.Delete(key) }

// bboltBatch collects writes until there is a transaction for them: one that was
// open from the first write on would keep everybody else from writing.
type bboltBatch struct {
	store  *bboltStore
	writes []bboltWrite
	data   []byte
}

// bboltWrite is a write by the lengths of its key and value in the data.
type bboltWrite struct {
	key, value int
	deletes    bool
}

func (s *bboltStore) NewBatch() engine.Batch { return &bboltBatch{store: s} }

func (b *bboltBatch) Put(key, value []byte) error {
	b.data = append(append(b.data, key...), value...)
	b.writes = append(b.writes, bboltWrite{key: len(key), value: len(value)})
	return nil
}

func (b *bboltBatch) Delete(key []byte) error {
	b.data = append(b.data, key...)
	b.writes = append(b.writes, bboltWrite{key: len(key), deletes: true})
	return nil
}

func (b *bboltBatch) Commit() error {
	if len(b.writes) == 0 {
		return nil
	}
	err := b.store.write(func(tx *bbolt.Tx) error {
		bucket, data := tx.Bucket(bboltBucket), b.data
		for _, w := range b.writes {
			key, value := data[:w.key], data[w.key:w.key+w.value]
			data = data[w.key+w.value:]
			var err error
			if w.deletes {
				err = bucket.Delete(key)
			} else {
				err = bucket.Put(key, value)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	b.writes, b.data = b.writes[:0], b.data[:0]
	return err
}

func (b *bboltBatch) Close() error {
	b.writes, b.data = nil, nil
	return nil
}

// bboltCursor is a cursor with a transaction of its own.
type bboltCursor struct {
	tx           *bbolt.Tx
	cursor       *bbolt.Cursor
	lower, upper []byte
	reverse      bool
	key, value   []byte
}

func (s *bboltStore) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	tx, err := s.db.Begin(false)
	if err != nil {
		return nil, err
	}
	return &bboltCursor{tx: tx, cursor: tx.Bucket(bboltBucket).Cursor(),
		lower: bytes.Clone(o.Lower), upper: bytes.Clone(o.Upper), reverse: o.Reverse}, nil
}

// within reports whether the cursor is on an entry that it may show.
func (c *bboltCursor) within() bool {
	return c.key != nil && (c.lower == nil || bytes.Compare(c.key, c.lower) >= 0) &&
		(c.upper == nil || bytes.Compare(c.key, c.upper) < 0)
}

func (c *bboltCursor) First() bool {
	switch {
	case c.reverse && c.upper != nil:
		c.seekBelow(c.upper)
	case c.reverse:
		c.key, c.value = c.cursor.Last()
	case c.lower != nil:
		c.key, c.value = c.cursor.Seek(c.lower)
	default:
		c.key, c.value = c.cursor.First()
	}
	return c.within()
}

// seekBelow goes to the largest key below one.
func (c *bboltCursor) seekBelow(key []byte) {
	if c.key, c.value = c.cursor.Seek(key); c.key == nil {
		c.key, c.value = c.cursor.Last()
		return
	}
	c.key, c.value = c.cursor.Prev()
}

func (c *bboltCursor) Seek(key []byte) bool {
	switch {
	case !c.reverse && c.lower != nil && bytes.Compare(key, c.lower) < 0,
		c.reverse && c.upper != nil && bytes.Compare(key, c.upper) >= 0:
		return c.First()
	}
	c.key, c.value = c.cursor.Seek(key)
	if c.reverse && !bytes.Equal(c.key, key) {
		if c.key == nil {
			c.key, c.value = c.cursor.Last()
		} else {
			c.key, c.value = c.cursor.Prev()
		}
	}
	return c.within()
}

func (c *bboltCursor) Next() bool {
	if c.reverse {
		c.key, c.value = c.cursor.Prev()
	} else {
		c.key, c.value = c.cursor.Next()
	}
	return c.within()
}

func (c *bboltCursor) Key() []byte { return c.key }

func (c *bboltCursor) Value() ([]byte, error) { return c.value, nil }

func (c *bboltCursor) Err() error { return nil }

func (c *bboltCursor) Close() error { return c.tx.Rollback() }
