package record

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

// image is the file with the records of want, and zeros behind them.
func image(t testing.TB) (b []byte, want []written) {
	t.Helper()
	f, want := writeFile(t, testHeader(), 10, 0, 700, 33)
	return append(f.b, make([]byte, 200)...), want
}

// TestEveryDamagedByteEndsTheScanBeforeIt: what is delivered before is right,
// and the records behind it are found and prove what they carry.
func TestEveryDamagedByteEndsTheScanBeforeIt(t *testing.T) {
	whole, want := image(t)
	for i := range whole {
		b := slices.Clone(whole)
		b[i] ^= 0x10
		got, tail, err := scanAll(t, &bytesFile{b: b})
		if i < HeaderLen {
			var damage *base.CorruptionError
			if !errors.As(err, &damage) || damage.Offset != 0 || damage.File != "f" {
				t.Fatalf("byte %d: %v", i, err)
			}
			continue
		}
		if err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		hit := slices.IndexFunc(want, func(w written) bool { return int64(i) < w.end })
		if hit < 0 {
			hit = len(want)
		}
		if err := sameRecords(got, want[:hit]); err != nil {
			t.Fatalf("byte %d: %v", i, err)
		}
		if tail.CleanEnd || tail.Reason == "" || tail.Offset != want[max(0, hit-1)].end && hit > 0 {
			t.Fatalf("byte %d: %+v", i, tail)
		}
		// A record with a bad payload and a good header proves something too.
		proof := slices.IndexFunc(want, func(w written) bool { return int64(i) < w.off+RecordHeaderLen })
		later := slices.ContainsFunc(want, func(w written) bool {
			return w.off >= tail.Offset && !(int64(i) >= w.off && int64(i) < w.off+RecordHeaderLen)
		})
		if tail.LaterValid != later {
			t.Fatalf("byte %d (header of record %d): %+v", i, proof, tail)
		}
		var synced uint64 = 900
		var laterSynced uint64
		for _, w := range want {
			if int64(i) >= w.off && int64(i) < w.off+RecordHeaderLen {
				continue
			}
			synced = max(synced, w.synced)
			if w.off >= tail.Offset {
				laterSynced = max(laterSynced, w.synced)
			}
		}
		if tail.MaxSynced != synced || tail.LaterSynced != laterSynced {
			t.Fatalf("byte %d: %+v, want %d and %d", i, tail, synced, laterSynced)
		}
	}
}

func TestFileCutAtEveryLength(t *testing.T) {
	whole, want := image(t)
	for n := range len(whole) {
		got, tail, err := scanAll(t, &bytesFile{b: whole[:n]})
		if err != nil {
			t.Fatal(err)
		}
		whole := 0
		for whole < len(want) && want[whole].end <= int64(n) {
			whole++
		}
		if err := sameRecords(got, want[:whole]); err != nil {
			t.Fatalf("%d bytes: %v", n, err)
		}
		var off int64
		switch {
		case n < HeaderLen:
		case whole == 0:
			off = HeaderLen
		default:
			off = want[whole-1].end
		}
		if tail.Offset != off || tail.CleanEnd != (off == int64(n) || whole == len(want) && n >= HeaderLen) || tail.CleanEnd != (tail.Reason == "") {
			t.Fatalf("%d bytes, %d records: %+v", n, whole, tail)
		}
	}
}

// TestRecordsFarBehindAHoleAreFound puts headers across the borders of the
// steps in which a file is read.
func TestRecordsFarBehindAHoleAreFound(t *testing.T) {
	for shift := range 2 * RecordHeaderLen {
		first := windowBytes - RecordHeaderLen - 40 + shift
		f, want := writeFile(t, testHeader(), 1, first, 50)
		clear(f.b[HeaderLen+3 : HeaderLen+9])
		clear(f.b[want[1].off+RecordHeaderLen:][:first])
		_, tail, err := scanAll(t, f)
		if err != nil || tail.Offset != HeaderLen || !tail.LaterValid || tail.LaterSynced != want[2].synced {
			t.Fatalf("shift %d: %+v, %v", shift, tail, err)
		}
		clear(f.b[want[1].off:][:RecordHeaderLen])
		if _, tail, err = scanAll(t, f); err != nil || tail.LaterSynced != want[2].synced {
			t.Fatalf("shift %d: %+v, %v", shift, tail, err)
		}
	}
}

func TestRecordOfAnotherFileOrPlaceIsInvalid(t *testing.T) {
	f, want := writeFile(t, testHeader(), 20, 20, 20)
	moved := slices.Clone(f.b)
	copy(moved[want[0].off:want[0].end], f.b[want[1].off:want[1].end])
	if got, tail, err := scanAll(t, &bytesFile{b: moved}); err != nil || len(got) != 0 || tail.CleanEnd {
		t.Fatal(got, tail, err)
	}
	h := testHeader()
	h.ID++
	g, _ := writeFile(t, h, 20, 20, 20)
	stale := slices.Clone(f.b)
	copy(stale[want[1].off:], g.b[want[1].off:])
	if got, tail, err := scanAll(t, &bytesFile{b: stale}); err != nil || len(got) != 1 || tail.LaterValid {
		t.Fatal(got, tail, err)
	}
}

// reseal gives a changed file header its checksum.
func reseal(b []byte, change func(b []byte)) []byte {
	b = slices.Clone(b)
	change(b)
	binary.LittleEndian.PutUint32(b[fileCRCOff:], crc32.Checksum(b[:fileCRCOff], castagnoli))
	return b
}

func TestHeaderThatCannotBeIsRefused(t *testing.T) {
	f, _ := writeFile(t, testHeader(), 20)
	for name, change := range map[string]func(b []byte){
		"magic":     func(b []byte) { b[0]++ },
		"kind":      func(b []byte) { b[fileKindOff] = fileKindManifest },
		"no id":     func(b []byte) { clear(b[fileIDOff : fileIDOff+8]) },
		"version 0": func(b []byte) { clear(b[fileVersionOff : fileVersionOff+4]) },
		"start LSN": func(b []byte) { b[fileStartOff+7] = 0x80 },
		"synced":    func(b []byte) { b[fileSyncedOff+3] = 1 },
	} {
		g := &bytesFile{b: reseal(f.b, change)}
		var damage *base.CorruptionError
		if _, _, err := Scan(g, "f", base.FileWAL, nil); !errors.As(err, &damage) || damage.Offset != 0 {
			t.Errorf("%s: %v", name, err)
		}
		if _, present, err := ReadHeader(g, "f", base.FileWAL); !errors.As(err, &damage) || present {
			t.Errorf("%s: %v", name, err)
		}
	}
	var format *base.FormatError
	newer := &bytesFile{b: reseal(f.b, func(b []byte) { b[fileVersionOff]++ })}
	if _, _, err := Scan(newer, "f", base.FileWAL, nil); !errors.As(err, &format) || format.Found != 2 || format.Known != 1 {
		t.Error(err)
	}
	if _, _, err := Scan(f, "f", base.FileTable, nil); err == nil {
		t.Error("scan of a table accepted")
	}
	for name, h := range map[string]FileHeader{
		"kind":    {Kind: base.FileTable, ID: 1},
		"id":      {Kind: base.FileWAL},
		"version": {Kind: base.FileWAL, ID: 1, Version: 2},
		"lsn":     {Kind: base.FileWAL, ID: 1, StartLSN: LSNMax + 1},
		"synced":  {Kind: base.FileWAL, ID: 1, StartLSN: 5, Synced: 6},
	} {
		f := &bytesFile{}
		if _, err := NewWriter(f, h); err == nil || len(f.b) > 0 {
			t.Errorf("%s accepted", name)
		}
	}
}

func TestRecordThatClaimsToKnowTheFutureIsInvalid(t *testing.T) {
	f, want := writeFile(t, testHeader(), 5)
	recordHeader{payloadCRC: crc32.Checksum(want[0].payload, castagnoli), synced: 1065, length: 5}.put(f.b[HeaderLen:], testID, HeaderLen, new(crcScratch))
	if got, tail, err := scanAll(t, f); err != nil || len(got) != 0 || tail.LaterValid || tail.MaxSynced != 900 {
		t.Fatal(got, tail, err)
	}
	w := ResumeWriter(f, testHeader(), HeaderLen)
	if _, err := w.Append(w.EndLSN()+1, 0); err == nil {
		t.Fatal("accepted")
	}
	if _, err := w.Append(w.EndLSN(), 0, nil); err != nil {
		t.Fatal(err)
	}
}

func TestFailedWriteLeavesTheWriterWhereItWas(t *testing.T) {
	for _, n := range []int{10, 3 * writeBytesMax} {
		for fail := 2; ; fail++ {
			f := &bytesFile{failAt: fail}
			w, err := NewWriter(f, testHeader())
			if err != nil {
				t.Fatal(err)
			}
			parts := [][]byte{make([]byte, n/2), make([]byte, 100), make([]byte, n/2)}
			_, err = w.Append(0, 1, parts...)
			if err == nil {
				break // there are fewer writes than that
			}
			if !errors.Is(err, errFault) || w.Offset() != HeaderLen {
				t.Fatal(err, w.Offset())
			}
			f.b = f.b[:HeaderLen]
			if _, err := w.Append(0, 1, []byte("again")); err != nil {
				t.Fatal(err)
			}
			if got, tail, err := scanAll(t, f); err != nil || len(got) != 1 || string(got[0].payload) != "again" || !tail.CleanEnd {
				t.Fatal(got, tail, err)
			}
		}
	}
	f := &bytesFile{failAt: 1}
	if _, err := NewWriter(f, testHeader()); !errors.Is(err, errFault) {
		t.Fatal(err)
	}
}

func TestErrorsOfTheFileAreNotDamage(t *testing.T) {
	b, _ := image(t)
	for _, f := range []*bytesFile{{b: b, readErr: errFault}, {b: b, sizeErr: errFault}} {
		var damage *base.CorruptionError
		if _, _, err := Scan(f, "f", base.FileWAL, nil); !errors.Is(err, errFault) || errors.As(err, &damage) {
			t.Fatal(err)
		}
		if _, _, err := ReadHeader(f, "f", base.FileWAL); !errors.Is(err, errFault) {
			t.Fatal(err)
		}
		if _, err := Blank(f, "f", 0); !errors.Is(err, errFault) {
			t.Fatal(err)
		}
	}
	// A read that fails later on: in a record, in a payload, in the search.
	long, want := writeFile(t, testHeader(), windowBytes, 2*windowBytes, 5)
	for name, c := range map[string]struct {
		from   int64
		damage int64
		fn     func(Record) error
	}{
		"header":  {want[1].off + 1, 0, nil},
		"payload": {want[1].off + windowBytes, 0, nil},
		"wanted":  {want[1].off + windowBytes, 0, func(Record) error { return nil }},
		"search":  {int64(len(long.b)) - 1, want[0].off, nil},
	} {
		f := &failingFile{bytesFile: bytesFile{b: slices.Clone(long.b)}, from: c.from}
		f.b[c.damage] ^= 1
		if c.damage == 0 {
			f.b[0] ^= 1
		}
		if _, _, err := Scan(f, "f", base.FileWAL, c.fn); !errors.Is(err, errFault) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Blank(&failingFile{bytesFile: bytesFile{b: make([]byte, 3*windowBytes)}, from: windowBytes}, "f", 0); !errors.Is(err, errFault) {
		t.Error(err)
	}
	// A file that shrinks while it is read.
	shrunk := &shrunkFile{bytesFile{b: b}}
	if _, _, err := Scan(shrunk, "f", base.FileWAL, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// failingFile cannot be read from offset from on.
type failingFile struct {
	bytesFile
	from int64
}

func (f *failingFile) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.from {
		return 0, errFault
	}
	return f.bytesFile.ReadAt(p, off)
}

// shrunkFile is shorter than it says.
type shrunkFile struct{ bytesFile }

func (f *shrunkFile) Size() (int64, error) { return int64(len(f.b)) + 1, nil }

func TestErrStopEndsTheScanQuietly(t *testing.T) {
	b, want := image(t)
	b[len(b)-1] = 1
	n := 0
	_, tail, err := Scan(&bytesFile{b: b}, "f", base.FileWAL, func(Record) error {
		if n++; n == 2 {
			return ErrStop
		}
		return nil
	})
	if err != nil || n != 2 || tail.Offset != want[1].end || !tail.CleanEnd || tail.MaxSynced != want[1].synced {
		t.Fatal(n, tail, err)
	}
	if _, _, err = Scan(&bytesFile{b: b}, "f", base.FileWAL, func(Record) error { return errFault }); err != errFault {
		t.Fatal(err)
	}
}

func TestBlankLooksOnlyBehindTheOffset(t *testing.T) {
	b := make([]byte, 3*windowBytes+5)
	for _, at := range []int{0, 7, windowBytes, len(b) - 1} {
		clear(b)
		b[at] = 1
		for _, from := range []int{0, at, at + 1} {
			blank, err := Blank(&bytesFile{b: b}, "f", int64(from))
			if err != nil || blank != (from > at) {
				t.Fatalf("byte %d set, from %d: %v, %v", at, from, blank, err)
			}
		}
	}
}
