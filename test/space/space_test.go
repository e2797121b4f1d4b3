package space

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

const valueBytes = 4 << 10

// scale is the size of the live data, in bytes.
func scale() int {
	switch {
	case os.Getenv(testkit.SoakEnv) != "":
		return 200 << 20
	case testkit.Thorough():
		return 64 << 20
	}
	return 32 << 20
}

// diskBytes is the size of all files below dir.
func diskBytes(t *testing.T, dir string) (total, logs int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed while we looked
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		total += info.Size()
		if filepath.Ext(path) == ".wal" {
			logs += info.Size()
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return total, logs
}

func key(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)*0x9E3779B97F4A7C15) }

// fill writes n values over keys live keys, at random or in order, and calls
// each now and then.
func fill(t *testing.T, store *db.DB, n, keys int, random bool, each func(written int)) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	value := make([]byte, valueBytes)
	for i := range n {
		k := i % keys
		if random {
			k = rng.IntN(keys)
		}
		binary.LittleEndian.PutUint64(value, rng.Uint64())
		if err := store.Put(key(k), value); err != nil {
			t.Fatal(err)
		}
		if i%2048 == 2047 {
			each(i + 1)
		}
	}
}

func TestDiskStaysWithinAQuarterOverLiveDataUnderOverwrites(t *testing.T) {
	if testing.Short() {
		t.Skip("writes hundreds of megabytes")
	}
	live := scale()
	keys := live / valueBytes
	dir := t.TempDir()
	store, err := db.Open(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, store, keys, keys, false, func(int) {})
	// Active files: the value-log file that takes writes and the one made ahead
	// or being sealed, and the WAL. A collection's copy is on top until its
	// victims are removed.
	const active = 3 * (8 << 20)
	limit := int64(float64(live)*1.25) + active
	worst := int64(0)
	start := time.Now()
	fill(t, store, 10*keys, keys, true, func(int) {
		total, logs := diskBytes(t, dir)
		worst = max(worst, total-logs)
	})
	took := time.Since(start)
	m := store.Metrics()
	t.Logf("live %d MiB, worst %d MiB on disk (%.2f), limit %d MiB, %v, %d collections, delay %v, wrote %.2f bytes per byte",
		live>>20, worst>>20, float64(worst)/float64(live), limit>>20, took, m.Collections, m.WriteDelay,
		float64(m.WALBytes+m.ValueLogBytes+m.FlushedBytes+m.CompactedBytes+m.CollectedBytes)/float64(11*live))
	if worst > limit {
		t.Errorf("%d bytes on disk for %d live ones; limit %d", worst, live, limit)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDeletingEverythingGivesTheSpaceBack(t *testing.T) {
	if testing.Short() {
		t.Skip("writes tens of megabytes")
	}
	for name, deleteAll := range map[string]func(*db.DB, int) error{
		"one by one": func(store *db.DB, keys int) error {
			for i := range keys {
				if err := store.Delete(key(i)); err != nil {
					return err
				}
			}
			return nil
		},
		"as a range": func(store *db.DB, _ int) error { return store.DeleteRange(db.All()) },
	} {
		t.Run(name, func(t *testing.T) {
			live := scale()
			dir := t.TempDir()
			store, err := db.Open(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			fill(t, store, live/valueBytes, live/valueBytes, false, func(int) {})
			if err := deleteAll(store, live/valueBytes); err != nil {
				t.Fatal(err)
			}
			var total, logs int64
			for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
				if total, logs = diskBytes(t, dir); total-logs < int64(live)/50 {
					t.Logf("%d bytes are left, and %d of log", total-logs, logs)
					return
				}
			}
			t.Fatalf("%d of %d bytes are still there: %+v", total-logs, live, store.Metrics())
		})
	}
}
