package record

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// openBytes gives readers b as it is at the time.
func openBytes(b *[]byte) func() (vfs.File, error) {
	return func() (vfs.File, error) { return &bytesFile{b: *b}, nil }
}

func TestAReaderReadsWhatAScanDelivers(t *testing.T) {
	f, want := writeFile(t, testHeader(), 0, 5, windowBytes-100, windowBytes+1, 3*windowBytes, 0, 17)
	b := f.b
	var r Reader
	h, present, err := r.Reset("f", base.FileWAL, openBytes(&b))
	if err != nil || !present || h.ID != testHeader().ID {
		t.Fatal(h, present, err)
	}
	for range 2 { // it may go back
		for i, w := range want {
			for _, limit := range []int64{w.off, w.off + 1, w.off + RecordHeaderLen, w.end - 1} {
				if _, ok, err := r.Next(w.off, limit); err != nil || ok && limit < w.end {
					t.Fatalf("record %d at limit %d: %v, %v", i, limit, ok, err)
				}
			}
			rec, ok, err := r.Next(w.off, w.end)
			if err != nil || !ok || int64(rec.EndLSN-h.StartLSN) != w.end || int64(rec.LSN-h.StartLSN) != w.off ||
				!bytes.Equal(rec.Payload, b[w.off+RecordHeaderLen:w.end]) || rec.Synced != w.synced {
				t.Fatalf("record %d: %v, %v", i, ok, err)
			}
		}
	}
	last := want[len(want)-1].end
	if _, ok, err := r.Next(last, last); ok || err != nil {
		t.Fatal(ok, err)
	}
	var damage *base.CorruptionError
	for _, limit := range []int64{last + RecordHeaderLen, math.MaxInt64} { // the file ends before it
		if _, _, err := r.Next(last, limit); !errors.As(err, &damage) || damage.Offset != last {
			t.Fatal(err)
		}
	}
}

func TestAReaderSeesTheFileGrow(t *testing.T) {
	f := &bytesFile{}
	w, err := NewWriter(f, testHeader())
	if err != nil {
		t.Fatal(err)
	}
	var r Reader
	if _, present, err := r.Reset("f", base.FileWAL, func() (vfs.File, error) { return &bytesFile{b: f.b}, nil }); err != nil || !present {
		t.Fatal(present, err)
	}
	for i := range 500 {
		off := w.Offset()
		p := bytes.Repeat([]byte{byte(i)}, i*10)
		if _, err := w.Append(0, 1, p); err != nil {
			t.Fatal(err)
		}
		rec, ok, err := r.Next(off, w.Offset())
		if err != nil || !ok || !bytes.Equal(rec.Payload, p) {
			t.Fatalf("record %d: %v, %v", i, ok, err)
		}
	}
}

// A header that passes its checksum may still give a length that no file has.
func TestAReaderReservesNothingForWhatIsNotThere(t *testing.T) {
	f, want := writeFile(t, testHeader(), 5)
	b := f.b
	var x crcScratch
	for _, length := range []int64{6, 1 << 30, PayloadLenMax} {
		recordHeader{length: length, typ: 1}.put(b[want[0].off:], testHeader().ID, want[0].off, &x)
		var r Reader
		if _, _, err := r.Reset("f", base.FileWAL, openBytes(&b)); err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(1, func() {
			var damage *base.CorruptionError
			if _, _, err := r.Next(want[0].off, math.MaxInt64); !errors.As(err, &damage) {
				t.Fatal(err)
			}
			if _, ok, err := r.Next(want[0].off, int64(len(b))); ok || err != nil {
				t.Fatal(ok, err)
			}
		})
		if n > 20 || cap(r.win.buf)+cap(r.win.spare) > 1<<16 {
			t.Fatalf("%v allocations, %d bytes", n, cap(r.win.buf)+cap(r.win.spare))
		}
	}
}

func TestAReaderLetsGoOfLargeBuffers(t *testing.T) {
	f, want := writeFile(t, testHeader(), keepBytesMax+1, 5, keepBytesMax+1, 6, 7)
	b := f.b
	var r Reader
	if _, _, err := r.Reset("f", base.FileWAL, openBytes(&b)); err != nil {
		t.Fatal(err)
	}
	for _, w := range want {
		if _, ok, err := r.Next(w.off, int64(len(b))); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	if cap(r.win.buf) > keepBytesMax || cap(r.win.spare) > keepBytesMax {
		t.Fatalf("%d and %d bytes are kept", cap(r.win.buf), cap(r.win.spare))
	}
}

func TestAReaderGivesOpenErrorsAsTheyAre(t *testing.T) {
	f, want := writeFile(t, testHeader(), 5, windowBytes, 5)
	gone := false
	var r Reader
	_, _, err := r.Reset("f", base.FileWAL, func() (vfs.File, error) {
		if gone {
			return nil, fs.ErrNotExist
		}
		return &bytesFile{b: f.b}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	limit := int64(len(f.b))
	for _, w := range want[:2] {
		if _, ok, err := r.Next(w.off, limit); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	gone = true
	if _, _, err := r.Next(want[0].off, limit); err != fs.ErrNotExist {
		t.Fatal(err)
	}
	gone = false
	if _, ok, err := r.Next(want[2].off, limit); !ok || err != nil {
		t.Fatal(ok, err)
	}
}
