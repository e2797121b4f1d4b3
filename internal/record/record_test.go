package record

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// bytesFile is a file in memory, with faults.
type bytesFile struct {
	b       []byte
	writes  []int // lengths of the WriteAt calls
	failAt  int   // the write with this 1-based number is short and fails
	readErr error
	sizeErr error
}

var errFault = errors.New("fault")

func (f *bytesFile) ReadAt(p []byte, off int64) (int, error) {
	if f.readErr != nil {
		return 0, f.readErr
	}
	if off >= int64(len(f.b)) {
		return 0, io.EOF
	}
	n := copy(p, f.b[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *bytesFile) WriteAt(p []byte, off int64) (int, error) {
	f.writes = append(f.writes, len(p))
	short := len(f.writes) == f.failAt
	if short {
		p = p[:len(p)/2]
	}
	if end := int(off) + len(p); end > len(f.b) {
		f.b = slices.Grow(f.b, end-len(f.b))[:end]
	}
	copy(f.b[off:], p)
	if short {
		return len(p), errFault
	}
	return len(p), nil
}

func (f *bytesFile) Sync() error                    { return nil }
func (f *bytesFile) Flush(off, n int64) error       { return nil }
func (f *bytesFile) Preallocate(off, n int64) error { return nil }
func (f *bytesFile) Truncate(size int64) error      { f.b = f.b[:size]; return nil }
func (f *bytesFile) Size() (int64, error)           { return int64(len(f.b)), f.sizeErr }
func (f *bytesFile) Close() error                   { return nil }

// written is what a test put into a file.
type written struct {
	typ     byte
	synced  uint64
	payload []byte
	off     int64 // of the record
	end     int64
}

const testID = 0x1122334455667788

func testHeader() FileHeader {
	return FileHeader{Kind: base.FileWAL, ID: testID, Number: 7, StartLSN: 1000, Synced: 900}
}

// writeFile writes records of the given payload lengths; each claims that
// everything before the one before it is synced.
func writeFile(t testing.TB, h FileHeader, lengths ...int) (*bytesFile, []written) {
	t.Helper()
	f := &bytesFile{}
	w, err := NewWriter(f, h)
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, uint64(len(lengths))))
	var ws []written
	before := w.EndLSN()
	for i, n := range lengths {
		r := written{typ: byte(i), synced: before, off: w.Offset(), payload: make([]byte, n)}
		for j := range r.payload {
			r.payload[j] = byte(rng.Uint32())
		}
		before = w.EndLSN()
		cut := n / 3
		end, err := w.Append(r.synced, r.typ, r.payload[:cut], nil, r.payload[cut:])
		if err != nil {
			t.Fatal(err)
		}
		r.end = w.Offset()
		if end != w.EndLSN() || end != h.StartLSN+uint64(r.end) {
			t.Fatalf("end %d, EndLSN %d, offset %d", end, w.EndLSN(), r.end)
		}
		ws = append(ws, r)
	}
	return f, ws
}

// scanAll collects the records of f.
func scanAll(t testing.TB, f vfs.File) ([]written, Tail, error) {
	t.Helper()
	var got []written
	h, tail, err := Scan(f, "f", base.FileWAL, func(r Record) error {
		got = append(got, written{typ: r.Type, synced: r.Synced, payload: bytes.Clone(r.Payload),
			off: int64(r.LSN - 1000), end: int64(r.EndLSN - 1000)})
		return nil
	})
	if err == nil && tail.Offset >= HeaderLen {
		if h.ID != testID || h.Number != 7 || h.StartLSN != 1000 || h.Synced != 900 || h.Version != Version {
			t.Fatalf("header %+v", h)
		}
		if tail.EndLSN != h.StartLSN+uint64(tail.Offset) {
			t.Fatalf("tail %+v", tail)
		}
	}
	return got, tail, err
}

func sameRecords(a, b []written) error {
	if len(a) != len(b) {
		return fmt.Errorf("%d records, want %d", len(a), len(b))
	}
	for i := range a {
		x, y := a[i], b[i]
		if x.typ != y.typ || x.synced != y.synced || x.off != y.off || x.end != y.end || !bytes.Equal(x.payload, y.payload) {
			return fmt.Errorf("record %d differs", i)
		}
	}
	return nil
}

func TestScanReturnsWhatWasAppended(t *testing.T) {
	for _, lengths := range [][]int{
		nil, {0}, {1}, {100, 0, 3}, {windowBytes - 96, 5, windowBytes, windowBytes + 1, 9},
		{writeBytesMax - RecordHeaderLen, 1, writeBytesMax - RecordHeaderLen + 1, 2, 3 * writeBytesMax, 17},
	} {
		f, want := writeFile(t, testHeader(), lengths...)
		for _, zeros := range []int{0, 1, 31, 32, 5000, 3 * windowBytes} {
			if len(f.b) > writeBytesMax && zeros > 1 {
				break
			}
			g := &bytesFile{b: append(slices.Clip(f.b), make([]byte, zeros)...)}
			got, tail, err := scanAll(t, g)
			if err != nil {
				t.Fatal(err)
			}
			if err := sameRecords(got, want); err != nil {
				t.Fatalf("lengths %v: %v", lengths, err)
			}
			wantTail := Tail{CleanEnd: true, Offset: int64(len(f.b)), EndLSN: 1000 + uint64(len(f.b)), MaxSynced: 900}
			if len(want) > 0 {
				wantTail.MaxSynced = want[len(want)-1].synced
			}
			if tail != wantTail {
				t.Fatalf("tail %+v, want %+v", tail, wantTail)
			}
			_, checked, err := Scan(g, "f", base.FileWAL, nil)
			if err != nil || checked != tail {
				t.Fatalf("without fn: %+v, %v", checked, err)
			}
		}
	}
}

func TestRecordUpToFourMebibytesIsOneWrite(t *testing.T) {
	f, _ := writeFile(t, testHeader(), 10, writeBytesMax-RecordHeaderLen, writeBytesMax)
	if f.writes[1] != 42 || f.writes[2] != writeBytesMax {
		t.Fatalf("writes %v", f.writes)
	}
	if len(f.writes) < 5 || slices.Max(f.writes) > writeBytesMax {
		t.Fatalf("writes %v", f.writes)
	}
}

func TestOSFileRoundTrip(t *testing.T) {
	fs := vfs.OS()
	f, err := fs.Create(filepath.Join(t.TempDir(), "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, err := NewWriter(f, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Append(1, 3, []byte("hello "), []byte("world")); err != nil {
		t.Fatal(err)
	}
	got, tail, err := scanAll(t, f)
	if err != nil || len(got) != 1 || string(got[0].payload) != "hello world" || !tail.CleanEnd {
		t.Fatalf("%v %+v %v", got, tail, err)
	}
}
