package vlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/vfs"
)

const testID = 0x1122334455667788

// entry is a record as a test wrote it.
type entry struct {
	keyspace uint32
	key      []byte
	seq      base.SeqNum
	expiry   uint64
	value    []byte
	ptr      base.Pointer
}

// randomBytes is what all values are cut from.
var randomBytes = func() []byte {
	b := make([]byte, 4<<20)
	if _, err := rand.NewChaCha8([32]byte{1}).Read(b); err != nil {
		panic(err)
	}
	return b
}()

// randomValue is n bytes that depend on n and seed only. Nobody changes them.
func randomValue(n int, seed uint64) []byte {
	at := int((seed*7919 + uint64(n)) % uint64(len(randomBytes)-n))
	return randomBytes[at:][:n:n]
}

func makeEntry(i, size int) entry {
	e := entry{key: fmt.Appendf(nil, "key-%05d", i), seq: base.SeqNum(100 + i), value: randomValue(size, uint64(i))}
	if i%3 == 0 {
		e.expiry = uint64(1_000_000 + i)
	}
	if i%4 == 2 {
		e.keyspace = uint32(i + 1<<20)
	}
	return e
}

func newMem(t testing.TB) *vfs.Mem {
	t.Helper()
	m := vfs.NewMem()
	if err := m.MkdirAll("/db"); err != nil {
		t.Fatal(err)
	}
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	return m
}

func mustCreate(t testing.TB, fsys vfs.FS, num base.FileNum, id uint64) *Writer {
	t.Helper()
	w, err := Create(fsys, "/db", num, WriterOptions{Logical: num, ID: id})
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func mustAppend(t testing.TB, w *Writer, e entry) entry {
	t.Helper()
	var err error
	if e.ptr, err = w.Append(e.keyspace, e.key, e.seq, e.expiry, e.value); err != nil {
		t.Fatal(err)
	}
	return e
}

// writeFile seals file num with records of the given value sizes.
func writeFile(t testing.TB, fsys vfs.FS, num base.FileNum, id uint64, sizes ...int) []entry {
	t.Helper()
	w := mustCreate(t, fsys, num, id)
	var es []entry
	for i, n := range sizes {
		es = append(es, mustAppend(t, w, makeEntry(i, n)))
	}
	if _, err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	return es
}

// rewrite copies the records that keep keeps from files into a new one.
func rewrite(t testing.TB, fsys vfs.FS, to base.FileNum, id uint64, keep func(Record) bool, from ...base.FileNum) RewriteInfo {
	t.Helper()
	w, err := NewRewriter(fsys, "/db", to, id)
	if err != nil {
		t.Fatal(err)
	}
	for _, num := range from {
		_, err := ScanFile(fsys, "/db", num, 0, 0, 0, func(r Record) error {
			if !keep(r) {
				return nil
			}
			return w.Add(r)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	info, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func keepAll(Record) bool { return true }

func openCache(t testing.TB, fsys vfs.FS) *FileCache {
	t.Helper()
	blocks := cache.New(1 << 20)
	c := NewFileCache(fsys, "/db", 10, blocks)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		blocks.Close()
		if n := c.PinnedBytes(); n != 0 {
			t.Errorf("%d bytes pinned after Close", n)
		}
	})
	return c
}

func wantEntry(t testing.TB, c *FileCache, loc Location, e entry) {
	t.Helper()
	got, err := c.Read([]byte("prefix"), loc, e.keyspace, e.key, e.seq, e.ptr)
	if err != nil {
		t.Fatalf("%s: %v", e.key, err)
	}
	if !bytes.Equal(got, append([]byte("prefix"), e.value...)) {
		t.Fatalf("%s: wrong value of %d bytes, want %d", e.key, len(got)-6, len(e.value))
	}
	if got, err = c.Read(nil, loc, e.keyspace, e.key, e.seq, e.ptr); err != nil || !bytes.Equal(got, e.value) {
		t.Fatalf("%s: wrong value for empty dst, %v", e.key, err)
	}
	if err := c.Verify(loc, e.ptr); err != nil {
		t.Fatal(err)
	}
	if err := c.VerifyRecord(loc, e.keyspace, e.key, e.seq, e.ptr); err != nil {
		t.Fatal(err)
	}
}

func wantCorruption(t testing.TB, err error) {
	t.Helper()
	var c *base.CorruptionError
	if !errors.As(err, &c) {
		t.Fatalf("got %v, want a CorruptionError", err)
	}
}

// checkScan compares a scan's records with es.
func checkScan(t testing.TB, fsys vfs.FS, num base.FileNum, id uint64, es []entry) {
	t.Helper()
	i := 0
	end, err := ScanFile(fsys, "/db", num, id, 0, 0, func(r Record) error {
		if i == len(es) {
			return fmt.Errorf("more records than %d", len(es))
		}
		e := es[i]
		i++
		if r.Pointer != e.ptr || r.Seq != e.seq || r.Expiry != e.expiry || r.Keyspace != e.keyspace || !bytes.Equal(r.Key, e.key) || !bytes.Equal(r.Value, e.value) {
			return fmt.Errorf("record %d differs: %+v %q", i-1, r.Pointer, r.Key)
		}
		return nil
	})
	if err != nil {
		t.Fatalf("scan ended at %d: %v", end, err)
	}
	if i != len(es) {
		t.Fatalf("scan gave %d records, want %d", i, len(es))
	}
	if _, err := VerifyFile(fsys, "/db", num, id, 0, nil); err != nil {
		t.Fatal(err)
	}
}

func readFile(t testing.TB, fsys vfs.FS, num base.FileNum) []byte {
	t.Helper()
	b, err := vfs.ReadFile(fsys, filepath.Join("/db", fileName(num)), 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// writeBytes replaces the contents of file num.
func writeBytes(t testing.TB, fsys vfs.FS, num base.FileNum, b []byte) {
	t.Helper()
	if err := vfs.WriteFileAtomic(fsys, filepath.Join("/db", fileName(num)), b); err != nil {
		t.Fatal(err)
	}
}

var roundTripSizes = []int{0, 1, 7, 100, 1 << 10, 4095, 4096, 4097, directBytes - 1, directBytes, directBytes + 1,
	3, 200_000, scanBytes - 100, scanBytes + 100, 1 << 20, 5, 3 << 20, 0, 12}

func TestRecordsOfAllSizesComeBack(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 7, testID, roundTripSizes...)
	c := openCache(t, m)
	for _, e := range es {
		wantEntry(t, c, Location{Physical: 7, ID: testID}, e)
	}
	checkScan(t, m, 7, testID, es)
}

func TestRewrittenRecordsKeepTheirPointers(t *testing.T) {
	m := newMem(t)
	a := writeFile(t, m, 7, testID, roundTripSizes...)
	b := writeFile(t, m, 8, testID+1, make([]int, 2000)...)
	odd := func(r Record) bool { return r.Seq%2 == 1 }
	info := rewrite(t, m, 9, testID+2, odd, 8, 7)
	rewrite(t, m, 10, testID+3, func(r Record) bool { return r.Seq%3 == 1 }, 9)
	if len(info.Logicals) != 2 || info.Logicals[0].Logical != 8 || info.Logicals[0].Records != 1000 ||
		info.Logicals[0].LiveBytes != 1000*uint64(b[0].ptr.Size) || info.Bytes != info.Logicals[0].LiveBytes+info.Logicals[1].LiveBytes {
		t.Fatalf("wrong info %+v", info)
	}
	c := openCache(t, m)
	first, second := Location{Physical: 9, ID: testID + 2, Rewritten: true}, Location{Physical: 10, ID: testID + 3, Rewritten: true}
	var once, twice []entry
	for _, e := range append(append([]entry(nil), b...), a...) {
		if e.seq%2 == 0 {
			_, err := c.Read(nil, first, e.keyspace, e.key, e.seq, e.ptr)
			wantCorruption(t, err)
			continue
		}
		wantEntry(t, c, first, e)
		once = append(once, e)
		if e.seq%3 == 1 {
			wantEntry(t, c, second, e)
			twice = append(twice, e)
		}
	}
	checkScan(t, m, 9, testID+2, once)
	checkScan(t, m, 10, testID+3, twice)
	if c.PinnedBytes() == 0 {
		t.Error("open rewritten files pin nothing")
	}
}

func TestReadsOfTheActiveFileSeeWhatIsFlushed(t *testing.T) {
	m := newMem(t)
	w := mustCreate(t, m, 1, testID)
	c := openCache(t, m)
	loc := Location{Physical: 1, ID: testID}
	for i := range 50 {
		e := mustAppend(t, w, makeEntry(i, 1000))
		_, err := c.Read(nil, loc, e.keyspace, e.key, e.seq, e.ptr)
		wantCorruption(t, err) // buffered only
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		wantEntry(t, c, loc, e)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestSealSaysWhatTheFileHolds(t *testing.T) {
	m := newMem(t)
	w := mustCreate(t, m, 1, testID)
	if _, err := w.Append(0, []byte("a"), 1, 500, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if info := w.Info(); !info.AllExpire || info.ExpiryMin != 500 || w.ExpiryMax() != 500 {
		t.Fatalf("got %+v", info)
	}
	if _, err := w.Append(0, []byte("b"), 2, 300, make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(0, []byte("c"), 3, 0, nil); err != nil {
		t.Fatal(err)
	}
	size := w.Size()
	info, err := w.Seal()
	if err != nil {
		t.Fatal(err)
	}
	want := Info{Size: size, Bytes: uint64(size - HeaderLen), Records: 3, ExpiryMin: 300, ExpiryMax: 500}
	if info != want {
		t.Fatalf("got %+v, want %+v", info, want)
	}
	if again, err := Inspect(m, "/db", 1, testID); err != nil || again != want {
		t.Fatalf("Inspect: %+v, %v", again, err)
	}
	if _, err := w.Append(0, nil, 4, 0, nil); !errors.Is(err, base.ErrClosed) {
		t.Fatalf("append after Seal: %v", err)
	}
}

// vfsDir is a file system whose leaks a test looks at.
type vfsDir struct{ fs vfs.FS }

func (d vfsDir) mem() *vfs.Mem { return d.fs.(*vfs.Mem) }
