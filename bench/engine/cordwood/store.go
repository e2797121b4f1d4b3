package cordwood

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/db"
)

// store is an open store.
type store struct {
	db            *db.DB
	memtableBytes int64
}

// notFound gives the seam's error for the engine's own.
func notFound(err error) error {
	if err != nil && errors.Is(err, db.ErrNotFound) {
		return engine.ErrNotFound
	}
	return err
}

// Get implements engine.Store.
func (s *store) Get(dst, key []byte) ([]byte, error) {
	dst, err := s.db.AppendGet(dst, key)
	return dst, notFound(err)
}

// Put implements engine.Store.
func (s *store) Put(key, value []byte) error { return s.db.Put(key, value) }

// Delete implements engine.Store.
func (s *store) Delete(key []byte) error { return s.db.Delete(key) }

// Merge implements engine.Merger.
func (s *store) Merge(key, operand []byte) error { return s.db.Merge(key, operand) }

// PutTTL implements engine.Expirer.
func (s *store) PutTTL(key, value []byte, ttl time.Duration) error {
	return s.db.PutTTL(key, value, ttl)
}

// MultiGet implements engine.MultiGetter.
func (s *store) MultiGet(keys [][]byte, see func(i int, value []byte, err error) error) error {
	values, err := s.db.MultiGet(keys...)
	if err != nil {
		return err
	}
	for i, value := range values {
		var missing error
		if value == nil {
			missing = engine.ErrNotFound
		}
		if err := see(i, value, missing); err != nil {
			return err
		}
	}
	return nil
}

// CollectGarbage implements engine.Collector.
func (s *store) CollectGarbage(ctx context.Context) error {
	return s.db.CollectGarbage(ctx, collectRatio)
}

// Close implements engine.Store.
func (s *store) Close() error { return s.db.Close() }

// batch is a db.Batch that knows its store.
type batch struct {
	*db.Batch
	db *db.DB
}

// NewBatch implements engine.Store.
func (s *store) NewBatch() engine.Batch { return &batch{Batch: s.db.NewBatch(), db: s.db} }

// Commit implements engine.Batch.
func (b *batch) Commit() error {
	err := b.db.Apply(b.Batch, db.DefaultDurability)
	b.Reset()
	return err
}

// Close implements engine.Batch.
func (b *batch) Close() error {
	b.Reset()
	return nil
}

// NewCursor implements engine.Store.
func (s *store) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	within := db.Between(o.Lower, o.Upper)
	if o.Reverse {
		c, err := s.db.NewCursor(within.Backward())
		if err != nil {
			return nil, err
		}
		return &backward{Cursor: c}, nil
	}
	c, err := s.db.NewCursor(within)
	if err != nil {
		return nil, err
	}
	return forward{c}, nil
}

// forward is a cursor that goes upwards.
type forward struct{ *db.Cursor }

// Seek implements engine.Cursor.
func (c forward) Seek(key []byte) bool { return c.SeekGE(key) }

// backward is a cursor that goes downwards.
type backward struct {
	*db.Cursor
	above []byte // memory for Seek
}

// First implements engine.Cursor.
func (c *backward) First() bool { return c.Last() }

// Seek implements engine.Cursor: it goes below the smallest key above key.
func (c *backward) Seek(key []byte) bool {
	c.above = append(append(c.above[:0], key...), 0)
	return c.SeekLT(c.above)
}

// Next implements engine.Cursor.
func (c *backward) Next() bool { return c.Prev() }

// tx is a db.Tx with the seam's Get.
type tx struct{ *db.Tx }

// Get implements engine.Tx.
func (t tx) Get(dst, key []byte) ([]byte, error) {
	dst, err := t.AppendGet(dst, key)
	return dst, notFound(err)
}

// Update implements engine.Transactor.
func (s *store) Update(fn func(engine.Tx) error) (retries int, err error) {
	tries := 0
	err = s.db.UpdateWith(context.Background(), db.TxOptions{TriesMax: math.MaxInt}, func(t *db.Tx) error {
		tries++
		return fn(tx{t})
	})
	return max(tries-1, 0), err
}

// View implements engine.Viewer.
func (s *store) View(fn func(engine.Tx) error) error {
	return s.db.View(func(t *db.Tx) error { return fn(tx{t}) })
}

// Settle implements engine.Store.
func (s *store) Settle(ctx context.Context) error {
	if err := s.db.Flush(ctx); err != nil {
		return fmt.Errorf("flushing: %w", err)
	}
	tick := time.NewTicker(settlePoll)
	defer tick.Stop()
	calm, last := time.Now(), s.db.Metrics()
	for time.Since(calm) < settleCalm {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		m := s.db.Metrics()
		if m.BackgroundError != nil {
			return fmt.Errorf("the store failed: %w", m.BackgroundError)
		}
		if m.CompactionsRunning > 0 || m.CompactionDebt > 0 || m.Compactions != last.Compactions ||
			m.Collections != last.Collections || collectionDue(m.ValueLog) {
			calm = time.Now()
		}
		last = m
	}
	return nil
}

// collectShare is the share of SpaceAmpMax's room for garbage from which the
// engine collects by itself.
const collectShare = 0.45

// collectionDue reports whether a collection is about to begin or running: what
// it works on is garbage until it is done.
func collectionDue(v db.ValueLogMetrics) bool {
	live := float64(v.Bytes) - float64(min(v.Garbage, v.Bytes))
	return v.Garbage > 0 && float64(v.Bytes) > (1+(spaceAmpMax-1)*collectShare)*live
}
