package record

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// FuzzScan reads made-up files. Where the input says so, the file header and the
// record at an offset get their checksums, or all records do, so that the input
// gets past them.
func FuzzScan(f *testing.F) {
	whole, want := image(f)
	f.Add(whole, uint32(0), uint8(1))
	f.Add(whole[:want[2].off+40], uint32(want[1].off), uint8(1))
	f.Add(whole[:want[2].off+40], uint32(0), uint8(2))
	f.Add(append(whole[:100:100], whole[300:]...), uint32(200), uint8(0))
	f.Add([]byte{}, uint32(0), uint8(1))
	f.Add(make([]byte, 200), uint32(64), uint8(1))
	f.Add(make([]byte, 200), uint32(64), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, at uint32, reseal uint8) {
		b = slices.Clone(b) // it must not be changed
		if reseal&2 != 0 {
			testkit.ResealRecords(b)
		} else if reseal&1 != 0 && len(b) >= HeaderLen {
			copy(b, fileMagic)
			binary.LittleEndian.PutUint32(b[fileCRCOff:], crc32.Checksum(b[:fileCRCOff], castagnoli))
			if at >= HeaderLen && int64(at)+RecordHeaderLen <= int64(len(b)) {
				rec := b[at:][:RecordHeaderLen]
				copy(rec[recIDOff:], b[fileIDOff:][:8])
				binary.LittleEndian.PutUint32(rec, headerCRC(rec, int64(at), new(crcScratch)))
			}
		}
		testkit.Bounded(t, len(b), func() { scanTwice(t, b) })
	})
}

// scanTwice scans b and writes again what it finds.
func scanTwice(t *testing.T, b []byte) {
	file := &bytesFile{b: b}
	end := int64(HeaderLen)
	h, tail, err := Scan(file, "f", base.FileWAL, func(r Record) error {
		if int64(r.LSN)-int64(len(r.Payload)) < 0 && r.LSN > LSNMax {
			t.Fatalf("record %+v", r)
		}
		if r.EndLSN != r.LSN+RecordHeaderLen+uint64(len(r.Payload)) || r.Synced > r.LSN {
			t.Fatalf("record %+v", r)
		}
		end += RecordHeaderLen + int64(len(r.Payload))
		return nil
	})
	_, checked, err2 := Scan(file, "f", base.FileWAL, nil)
	if (err == nil) != (err2 == nil) || tail != checked {
		t.Fatalf("%v %v %+v %+v", err, err2, tail, checked)
	}
	if err != nil {
		_, damage := errors.AsType[*base.CorruptionError](err)
		if _, format := errors.AsType[*base.FormatError](err); !damage && !format {
			t.Fatal(err)
		}
		return
	}
	if tail.Offset == 0 {
		return
	}
	if tail.Offset != end || tail.EndLSN != h.StartLSN+uint64(end) || end > int64(len(b)) {
		t.Fatalf("tail %+v, records end at %d of %d", tail, end, len(b))
	}
	if tail.MaxSynced > h.StartLSN+uint64(len(b)) || tail.LaterSynced > tail.MaxSynced || tail.CleanEnd && tail.LaterValid {
		t.Fatalf("tail %+v", tail)
	}
	// What was read, written again, gives the same bytes.
	again := &bytesFile{}
	w, err := NewWriter(again, h)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = Scan(file, "f", base.FileWAL, func(r Record) error {
		_, err := w.Append(r.Synced, r.Type, r.Payload)
		return err
	})
	if err != nil || w.Offset() != end {
		t.Fatalf("%v: %d bytes, not %d", err, w.Offset(), end)
	}
	if !bytes.Equal(again.b[HeaderLen:end], b[HeaderLen:end]) {
		t.Fatal("what was read is written otherwise")
	}
}
