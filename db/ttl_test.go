package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// jumpingClock is a clock that is set forward and back.
type jumpingClock struct {
	nanos  atomic.Int64
	latest int64
}

func (c *jumpingClock) Now() time.Time { return time.Unix(0, c.nanos.Load()) }

func (c *jumpingClock) set(nanos int64) {
	c.nanos.Store(nanos)
	c.latest = max(c.latest, nanos)
}

// mortal is a key that has had a value without an end, and then one with.
type mortal struct {
	key, value []byte
	expiry     int64 // by the clock when it was written, or later
	at         int64
}

// check reads the key in every way: it has its last value, or none. now is the
// clock, latest the latest it has ever been.
func (m *mortal) check(store *DB, now, latest int64) error {
	got, err := store.Get(m.key)
	if errors.Is(err, ErrNotFound) {
		if latest < m.expiry {
			return fmt.Errorf("%s is gone before its time", m.key)
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%s: %w", m.key, err)
	}
	if !bytes.Equal(got, m.value) {
		return fmt.Errorf("%s shows another version: %.30q, want %.30q", m.key, got, m.value)
	}
	if now >= m.expiry {
		return fmt.Errorf("%s outlives its time", m.key)
	}
	return nil
}

// scanMortals checks a scan against what Get says.
func scanMortals(store *DB, keys map[string]*mortal) error {
	for item, err := range store.Scan(All()) {
		if err != nil {
			return err
		}
		v, err := item.Value()
		if err != nil {
			return fmt.Errorf("scan, %s: %w", item.Key(), err)
		}
		m := keys[string(item.Key())]
		if m == nil || !bytes.Equal(v, m.value) {
			return fmt.Errorf("scan: %s shows %.30q", item.Key(), v)
		}
	}
	return nil
}

func TestExpiredValuesNeverUncoverOlderOnesWhereverTheClockJumps(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	clock := &jumpingClock{}
	clock.set(int64(1000 * time.Hour))
	fs := vfs.NewMem()
	opts := smallOptions()
	opts.Clock = clock.Now
	store := openMem(t, fs, opts)
	keys := make(map[string]*mortal)
	write := func(i int) error {
		m := &mortal{key: fmt.Appendf(nil, "k%03d", r.IntN(80)), at: clock.nanos.Load()}
		size := r.IntN(600)
		if err := store.Put(m.key, bytes.Repeat([]byte("older"), r.IntN(200))); err != nil {
			return err
		}
		if r.IntN(10) == 0 {
			if err := store.Flush(context.Background()); err != nil {
				return err
			}
		}
		ttl := time.Duration(1 + r.Int64N(int64(100*time.Minute)))
		m.value = append(fmt.Appendf(nil, "%d-", i), make([]byte, size)...)
		m.expiry = m.at + int64(ttl)
		keys[string(m.key)] = m
		return store.PutTTL(m.key, m.value, ttl)
	}
	for i := range 3000 {
		var err error
		switch n := r.IntN(100); {
		case n < 50:
			err = write(i)
		case n < 60: // mostly forward
			jump := r.Int64N(int64(40*time.Minute)) - int64(15*time.Minute)
			if r.IntN(50) == 0 {
				jump -= int64(10 * time.Hour)
			}
			clock.set(clock.nanos.Load() + jump)
		case n < 62:
			err = store.Flush(context.Background())
		case n < 63:
			err = store.Compact(context.Background(), All())
		case n < 66:
			err = store.CollectGarbage(context.Background(), r.Float64()/2)
		case n < 67 && r.IntN(3) == 0:
			if r.IntN(2) == 0 {
				err = store.Close()
			} else {
				killed := fs.KillClone()
				err = store.Close()
				fs = killed
			}
			if err == nil {
				store = openMem(t, fs, opts)
			}
		case n < 70:
			err = scanMortals(store, keys)
		default:
			if m := keys[fmt.Sprintf("k%03d", r.IntN(80))]; m != nil {
				err = checkMortal(store, m, clock)
			}
		}
		if err != nil {
			t.Fatalf("seed %d, operation %d: %v", seed, i, err)
		}
	}
	for _, m := range keys {
		if err := checkMortal(store, m, clock); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
	closeDB(t, store)
}

// checkMortal is check, for a clock that may have been behind the store's
// horizon when the value was written: the value then lives longer.
func checkMortal(store *DB, m *mortal, clock *jumpingClock) error {
	if clock.latest > m.at {
		late := *m
		late.expiry += clock.latest - m.at // at the most
		got, err := store.Get(m.key)
		if errors.Is(err, ErrNotFound) && clock.latest < m.expiry {
			return fmt.Errorf("%s is gone before its time", m.key)
		}
		if errors.Is(err, ErrNotFound) {
			return nil
		}
		if err != nil || !bytes.Equal(got, m.value) {
			return fmt.Errorf("%s: %.30q, %v; want %.30q", m.key, got, err, m.value)
		}
		if clock.nanos.Load() >= late.expiry {
			return fmt.Errorf("%s outlives its time", m.key)
		}
		return nil
	}
	return m.check(store, clock.nanos.Load(), clock.latest)
}
