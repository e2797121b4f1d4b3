package memory

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// mixed is the value of a key in a mix: its length follows from the key.
func mixed(k, round int) []byte {
	v := make([]byte, k*k%5000+k%50/49*(64<<10))
	if len(v) >= 8 {
		binary.LittleEndian.PutUint64(v, uint64(round))
	}
	return v
}

func mixedKey(k int) []byte { return fmt.Appendf(nil, "%06d", k) }

// heapNow is what is reachable.
func heapNow() int64 {
	runtime.GC()
	runtime.GC() // pools live for two
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// holder keeps snapshots and cursors open, and closes the oldest.
type holder struct{ open []interface{ Close() error } }

const heldMax = 60

func (h *holder) hold(c interface{ Close() error }) error {
	if h.open = append(h.open, c); len(h.open) <= heldMax {
		return nil
	}
	c, h.open = h.open[0], h.open[1:]
	return c.Close()
}

func (h *holder) closeAll() error {
	var errs []error
	for _, c := range h.open {
		errs = append(errs, c.Close())
	}
	h.open = nil
	return errors.Join(errs...)
}

func TestWhateverIsHeldStaysBelowTheCeiling(t *testing.T) {
	steps := testkit.Amount{Short: 2_000, Normal: 5_000, CI: 40_000, Full: 400_000}.Budget(t).Want()
	seed := testkit.Seed(t)
	before := heapNow()
	mix(t, steps, seed)
	const pools = 4 << 20
	if grown := heapNow() - before; grown > pools {
		t.Errorf("%s=%d: %d bytes of heap are left", testkit.SeedEnv, seed, grown)
	}
}

// mix works with a store and closes it.
func mix(t *testing.T, steps int, seed uint64) {
	t.Helper()
	const ceiling = 8 << 20
	r := rand.New(rand.NewPCG(seed, 0))
	store := open(t, t.TempDir(), &db.Options{MemoryMax: ceiling, TableBytes: 256 << 10, Merge: db.Counter()})
	const keys = 1000
	var last [keys]int // round in which a key was written, 0: never
	var h holder
	step := func(n int) error {
		k := r.IntN(keys)
		switch r.IntN(12) {
		case 0:
			s, err := store.Snapshot()
			return errors.Join(err, h.hold(s))
		case 1:
			c, err := store.NewCursor(db.All())
			if err != nil {
				return err
			}
			for ok := c.SeekGE(mixedKey(k)); ok && r.IntN(30) > 0; ok = c.Next() {
				if _, err := c.Value(); err != nil {
					return err
				}
			}
			return errors.Join(c.Err(), h.hold(c))
		case 2:
			return store.Merge([]byte("sum"), db.CounterBytes(1))
		case 3:
			b := store.NewBatch()
			for range r.IntN(50) {
				k := r.IntN(keys)
				if err := b.Put(mixedKey(k), mixed(k, n)); err != nil {
					return err
				}
				last[k] = n
			}
			return store.Apply(b, db.NoSync)
		case 4, 5, 6:
			v, err := store.Get(mixedKey(k))
			if last[k] == 0 && errors.Is(err, db.ErrNotFound) {
				return nil
			}
			if err != nil || !bytes.Equal(v, mixed(k, last[k])) {
				return fmt.Errorf("key %d: %d bytes, %w", k, len(v), err)
			}
			return nil
		}
		last[k] = n
		return store.Put(mixedKey(k), mixed(k, n))
	}
	for n := 1; n <= steps; n++ {
		if err := step(n); err != nil {
			t.Fatalf("%s=%d, step %d: %v", testkit.SeedEnv, seed, n, err)
		}
		checkHeld(t, store, ceiling)
	}
	if err := errors.Join(store.Compact(context.Background(), db.All()), h.closeAll(), store.Close()); err != nil {
		t.Fatal(err)
	}
}
