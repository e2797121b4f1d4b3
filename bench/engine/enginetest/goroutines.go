package enginetest

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// goroutines uses a store from several goroutines at once.
func goroutines(s *tested) {
	var wg sync.WaitGroup
	run := func(name string, fn func() error) {
		wg.Go(func() {
			if err := fn(); err != nil {
				s.t.Errorf("%s: %v", name, err)
			}
		})
	}
	s.check(writePairs(s.NewBatch(), 0))
	for i := range 3 {
		run(fmt.Sprintf("client %d", i), func() error { return client(s.Store, i) })
	}
	var read, written atomic.Bool
	run("writer of pairs", func() error {
		defer written.Store(true)
		for i := uint64(1); i < pairBatches && !read.Load(); i++ {
			if err := writePairs(s.NewBatch(), i); err != nil {
				return err
			}
			runtime.Gosched()
		}
		return nil
	})
	run("reader of pairs", func() error {
		defer read.Store(true)
		return readPairs(s.Store, &written)
	})
	run("settling", func() error { return s.Settle(s.t.Context()) })
	wg.Wait()
}

// client reads and writes keys that nobody else writes.
func client(s engine.Store, number int) error {
	random := rand.New(rand.NewPCG(7, uint64(number)))
	mine := make(map[string]string)
	var buffer []byte
	for i := range 500 {
		key := fmt.Sprintf("client%d/%03d", number, random.IntN(200))
		value := text(i, random.IntN(1500))
		var err error
		switch random.IntN(4) {
		case 0:
			err = s.Delete([]byte(key))
			delete(mine, key)
		default:
			err = s.Put([]byte(key), []byte(value))
			mine[key] = value
		}
		if err != nil {
			return err
		}
		key = fmt.Sprintf("client%d/%03d", number, random.IntN(200))
		expected, there := mine[key]
		buffer, err = s.Get(buffer[:0], []byte(key))
		if there && (err != nil || string(buffer) != expected) || !there && err != engine.ErrNotFound { //nolint:errorlint // as it is
			return fmt.Errorf("get %q: %s, %w; want %s", key, short(buffer), err, short(expected))
		}
	}
	return nil
}

const (
	pairs = 8 // keys of a batch
	// pairBatches and pairReads are few because some engines pass over all that
	// was overwritten in each read.
	pairBatches, pairReads = 1000, 200
	// pairsMet is how many batches are written beside the reads at least.
	pairsMet = 20
)

// writePairs writes one number under several keys, in a batch that it closes.
func writePairs(b engine.Batch, n uint64) error {
	value := binary.BigEndian.AppendUint64(nil, n)
	for i := range pairs {
		if err := b.Put([]byte(numbered("pair", i)), value); err != nil {
			return err
		}
	}
	if err := b.Commit(); err != nil {
		return err
	}
	return b.Close()
}

// readPairs checks that batches are seen whole, and in their order. It goes on
// until it has met the writer, or all is written.
func readPairs(s engine.Store, written *atomic.Bool) error {
	var last uint64
	for i := 0; i < pairReads || last < pairsMet && !written.Load(); i++ {
		c, err := s.NewCursor(engine.CursorOptions{Lower: []byte("pair"), Upper: []byte("paj"), Reverse: i%2 == 1})
		if err != nil {
			return err
		}
		var seen []uint64
		for on := c.First(); on; on = c.Next() {
			value, err := c.Value()
			if err != nil || len(value) != 8 {
				return fmt.Errorf("value of %q is %q, %w", c.Key(), value, err)
			}
			seen = append(seen, binary.BigEndian.Uint64(value))
		}
		if err := c.Err(); err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
		if len(seen) != pairs || slices.Min(seen) != slices.Max(seen) {
			return fmt.Errorf("a cursor sees a batch in part: %d", seen)
		}
		if seen[0] < last {
			return fmt.Errorf("a cursor sees batch %d after %d", seen[0], last)
		}
		last = seen[0]
		runtime.Gosched()
	}
	return nil
}
