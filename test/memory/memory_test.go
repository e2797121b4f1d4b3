package memory

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// load is how many entries of 100 bytes are written, and under which ceiling.
type load struct {
	entries   int
	memoryMax int64
}

func size() load {
	switch {
	case os.Getenv(testkit.SoakEnv) != "":
		return load{10_000_000, 0} // the default ceiling
	case testkit.Thorough():
		return load{1_000_000, 48 << 20}
	}
	return load{200_000, 12 << 20}
}

// key and value are functions of i; keys come in no order.
func key(dst []byte, i uint64) []byte {
	dst = binary.BigEndian.AppendUint64(dst, i*0x9E3779B97F4A7C15)
	return binary.BigEndian.AppendUint64(dst, i)
}

func value(dst []byte, i uint64) []byte {
	for n := range uint64(6) {
		dst = binary.LittleEndian.AppendUint64(dst, (i+n)*0xBF58476D1CE4E5B9)
	}
	return append(dst, make([]byte, 52)...)
}

// residentPeak is the most memory that the process has had resident, in bytes;
// ok is false where the system does not tell.
func residentPeak() (bytes int64, ok bool) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, false
	}
	_, rest, found := strings.Cut(string(status), "VmHWM:")
	var kb int64
	if n, err := fmt.Sscan(rest, &kb); !found || n != 1 || err != nil {
		return 0, false
	}
	return kb << 10, true
}

func TestMillionsOfEntriesLoadReopenAndReadBackBelowTheCeiling(t *testing.T) {
	if testing.Short() {
		t.Skip("loads millions of entries")
	}
	l := size()
	ceiling := l.memoryMax
	if ceiling == 0 {
		ceiling = 512 << 20
	}
	// What the collector may add on top is the program's to decide. The test
	// binary has some memory of its own.
	limit := ceiling + ceiling/4
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(limit))
	opts := &db.Options{MemoryMax: l.memoryMax}
	dir := t.TempDir()
	store := open(t, dir, opts)
	start := time.Now()
	batch := store.NewBatch()
	var k, v []byte
	for i := range uint64(l.entries) {
		k, v = key(k[:0], i), value(v[:0], i)
		if err := batch.Put(k, v); err != nil {
			t.Fatal(err)
		}
		if batch.Len() < 100 && i+1 < uint64(l.entries) {
			continue
		}
		if err := store.Apply(batch, db.NoSync); err != nil {
			t.Fatal(err)
		}
		batch.Reset()
		if i%(1<<16) < 100 {
			checkHeld(t, store, ceiling)
		}
	}
	loaded := time.Since(start)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	store = open(t, dir, opts)
	defer store.Close()
	readBack(t, store, l.entries, ceiling)
	took := time.Since(start)
	peak, ok := residentPeak()
	t.Logf("%d entries: loaded in %v, all in %v; resident at most %d MiB, ceiling %d MiB", l.entries, loaded, took, peak>>20, ceiling>>20)
	const binary = 48 << 20
	if ok && peak > limit+binary {
		t.Errorf("%d MiB resident, limit %d MiB", peak>>20, (limit+binary)>>20)
	}
}

func open(t *testing.T, dir string, opts *db.Options) *db.DB {
	t.Helper()
	store, err := db.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// checkHeld compares what the store says it holds with the ceiling.
func checkHeld(t *testing.T, store *db.DB, ceiling int64) {
	t.Helper()
	m := store.Metrics()
	if held := m.MemtableBytes + m.CacheBytes + m.PinnedBytes; held > ceiling {
		t.Fatalf("%d bytes held, ceiling %d: %+v", held, ceiling, m)
	}
}

// readBack reads a sample by key and everything by a scan.
func readBack(t *testing.T, store *db.DB, entries int, ceiling int64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 1))
	var k, v, got []byte
	for n := range min(entries, 1_000_000) {
		i := rng.Uint64N(uint64(entries))
		k, v = key(k[:0], i), value(v[:0], i)
		var err error
		if got, err = store.AppendGet(got[:0], k); err != nil || !bytes.Equal(got, v) {
			t.Fatalf("entry %d: %x, %v", i, got, err)
		}
		if n%(1<<14) == 0 {
			checkHeld(t, store, ceiling)
		}
	}
	count := 0
	for item, err := range store.Scan(db.All()) {
		if err != nil {
			t.Fatal(err)
		}
		got, err := item.Value()
		i := binary.BigEndian.Uint64(item.Key()[8:])
		k, v = key(k[:0], i), value(v[:0], i)
		if err != nil || !bytes.Equal(item.Key(), k) || !bytes.Equal(got, v) {
			t.Fatalf("entry %d: %x = %x, %v", i, item.Key(), got, err)
		}
		count++
	}
	if count != entries {
		t.Fatalf("scan of %d entries, want %d", count, entries)
	}
	checkHeld(t, store, ceiling)
}
