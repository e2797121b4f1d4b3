package vlog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// onlyExpected fails for errors that damaged bytes must not lead to.
func onlyExpected(t *testing.T, err error) {
	t.Helper()
	var damage *base.CorruptionError
	var version *base.FormatError
	if err != nil && !errors.As(err, &damage) && !errors.As(err, &version) {
		t.Fatal(err)
	}
}

// resum makes the checksums of mutated bytes right where it is cheap, so that
// fuzzing gets behind them.
func resum(b []byte) {
	if len(b) < fileHeaderLen {
		return
	}
	h := fileHeader{version: formatVersion, id: testID, number: 1, rewritten: b[fhFlags]&1 != 0}.encode()
	copy(b, h[:])
	marker := []byte{0x51, 0x9e, 0xa3, 0xc7}
	for pos := 0; ; {
		i := bytes.Index(b[pos:], marker)
		if i < 0 {
			return
		}
		pos += i + 4
		from := pos - 4 - rhMarker
		if from < fileHeaderLen || from+recordHeaderLen > len(b) {
			continue
		}
		var rh recordHeader
		le := func(off int) uint32 { return binary.LittleEndian.Uint32(b[from+off:]) }
		rh.keyLen, rh.valueLen, rh.offset = le(rhKeyLen), le(rhValueLen), le(rhOffset)
		rh.file = base.FileNum(le(rhFile))
		word := binary.LittleEndian.Uint64(b[from+rhSeq:])
		rh.keyspaced = word&flagKeyspace != 0
		rh.seq = base.SeqNum(word &^ flagKeyspace)
		end := int64(from) + rh.size()
		if end <= int64(len(b)) {
			rh.bodySum = bodySum(0, b[from+recordHeaderLen:end], nil)
		}
		rh.encode((*[recordHeaderLen]byte)(b[from:]), idSeed(testID))
	}
}

func fuzzFile(t *testing.T, b []byte) vfs.FS {
	m := vfs.NewMem()
	if err := m.MkdirAll("/db"); err != nil {
		t.Fatal(err)
	}
	writeBytes(t, m, 1, b)
	return m
}

func seedFiles(f *testing.F) (original, rewritten []byte) {
	m := newMem(f)
	writeFile(f, m, 1, testID, 10, 0, 300, 70_000)
	original = readFile(f, m, 1)
	rewrite(f, m, 2, testID, keepAll, 1)
	return original, readFile(f, m, 2)
}

func FuzzScanFile(f *testing.F) {
	original, rewritten := seedFiles(f)
	f.Add(original[:800], false)
	f.Add(original[:800], true)
	f.Add(rewritten, false)
	f.Add([]byte{}, false)
	f.Add(append(bytes.Clone(original[:HeaderLen]), bytes.Repeat([]byte{0x51, 0x9e, 0xa3, 0xc7}, 400)...), false)
	f.Fuzz(func(t *testing.T, b []byte, valid bool) {
		b = bytes.Clone(b)
		if valid {
			resum(b)
		}
		m := fuzzFile(t, b)
		testkit.Bounded(t, len(b), func() { scanAndSalvage(t, m, b) })
	})
}

// scanAndSalvage goes through the file b, which is in m, in each way.
func scanAndSalvage(t *testing.T, m vfs.FS, b []byte) {
	var bytesSeen int64
	check := func(r Record) error {
		bytesSeen += int64(r.Pointer.Size)
		if r.Offset < HeaderLen || r.Offset+int64(r.Pointer.Size) > int64(len(b)) ||
			int(r.Pointer.Size) != recordHeaderLen+prefixLen(r.Keyspace)+len(r.Key)+len(r.Value) {
			t.Fatalf("impossible record %+v", r.Pointer)
		}
		return nil
	}
	end, err := ScanFile(m, "/db", 1, 0, 0, 0, check)
	onlyExpected(t, err)
	if end != 0 && end-HeaderLen != bytesSeen {
		t.Fatalf("valid up to %d with %d bytes of records", end, bytesSeen)
	}
	_, err = VerifyFile(m, "/db", 1, 0, 0, nil)
	onlyExpected(t, err)
	bytesSeen = 0
	last := int64(0)
	onlyExpected(t, Salvage(m, "/db", 1, testID, func(r Record) error {
		if r.Offset < last {
			t.Fatal("salvage went back")
		}
		last = r.Offset + int64(r.Pointer.Size)
		return check(r)
	}, func(from, to int64, reason error) error {
		if to < from || to > int64(len(b)) {
			t.Fatalf("damage at %d to %d", from, to)
		}
		return nil
	}))
	if bytesSeen > int64(len(b)) {
		t.Fatal("salvage delivered bytes twice")
	}
}

func FuzzRewrittenFile(f *testing.F) {
	_, rewritten := seedFiles(f)
	tail := rewritten[len(rewritten)-400:]
	f.Add(tail, uint32(64), uint32(100), true)
	f.Add(tail[100:], uint32(64), uint32(100), false)
	many := bytes.Clone(tail) // more sections than there is room for
	binary.LittleEndian.PutUint64(many[len(many)-footerLen+ftSections:], 1<<20)
	binary.LittleEndian.PutUint64(many[len(many)-footerLen+ftRecordsEnd:], fileHeaderLen)
	f.Add(many, uint32(64), uint32(100), true)
	f.Add([]byte{}, uint32(0), uint32(0), true)
	f.Fuzz(func(t *testing.T, end []byte, offset, size uint32, valid bool) {
		h := fileHeader{version: formatVersion, rewritten: true, id: testID, number: 1}.encode()
		b := append(h[:], end...)
		if n := len(b) - footerLen; valid && n >= fileHeaderLen {
			repairFooter(b, n)
		}
		m := fuzzFile(t, b)
		testkit.Bounded(t, len(b), func() { readRewritten(t, m, len(b), offset, size) })
	})
}

// readRewritten reads a rewritten file of length bytes, at made-up places.
func readRewritten(t *testing.T, m vfs.FS, length int, offset, size uint32) {
	_, err := VerifyFile(m, "/db", 1, 0, 0, nil)
	onlyExpected(t, err)
	c := NewFileCache(m, "/db", 1, nil)
	loc := Location{Physical: 1, ID: testID, Rewritten: true}
	for file := range base.FileNum(3) {
		ptr := base.Pointer{File: file, Offset: offset, Size: size, ValueLen: size / 2}
		_, err := c.Read(nil, loc, offset&1*7, make([]byte, 10), 1, ptr)
		onlyExpected(t, err)
		onlyExpected(t, c.Verify(loc, ptr))
	}
	if c.PinnedBytes() > 64*int64(length) {
		t.Fatalf("%d bytes pinned for a file of %d", c.PinnedBytes(), length)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}

// FuzzFileHeader decodes headers, also with the right checksum.
func FuzzFileHeader(f *testing.F) {
	for _, rewritten := range []bool{false, true} {
		h := fileHeader{version: formatVersion, id: testID, number: 1, rewritten: rewritten}.encode()
		f.Add(h[:])
	}
	f.Add(make([]byte, fileHeaderLen))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < fileHeaderLen {
			return
		}
		b = bytes.Clone(b[:fileHeaderLen])
		for range 2 {
			h, err := decodeFileHeader("f", b)
			onlyExpected(t, err)
			again := h.encode()
			const reserved = 32 // what follows is zero, but nobody looks
			if err == nil && h.version == formatVersion && !bytes.Equal(again[:reserved], b[:reserved]) {
				t.Fatalf("% x is read as %+v, which is written as % x", b, h, again)
			}
			binary.LittleEndian.PutUint32(b[fileHeaderLen-4:], crc32.Checksum(b[:fileHeaderLen-4], castagnoli))
		}
	})
}

// repairFooter makes footer, index and translation blocks of b consistent in
// their checksums.
func repairFooter(b []byte, at int) {
	t := footer{}
	get := func(off int) int64 {
		return int64(b[at+off]) | int64(b[at+off+1])<<8 | int64(b[at+off+2])<<16
	}
	t.indexOff, t.recordsEnd, t.sections = get(ftIndexOff), get(ftRecordsEnd), uint64(get(ftSections))
	if t.indexOff > int64(at) {
		t.indexOff = int64(at)
	}
	t.indexLen = int64(at) - t.indexOff
	t.indexSum = sumAt(testID, t.indexOff, 0, b[t.indexOff:at])
	x := sectionIndex{}
	if t.recordsEnd >= fileHeaderLen && t.recordsEnd <= t.indexOff && t.sections <= uint64(t.indexLen)/sectionLen &&
		x.decode(b[t.indexOff:at], t) == nil {
		for i := range x.sections {
			s := &x.sections[i]
			for j := range s.firsts {
				off, n := s.blockAt(j)
				to := off + int64(n)*entryLen
				binary.LittleEndian.PutUint32(b[to:], sumAt(testID, off, s.logical, b[off:to]))
			}
		}
	}
	end := t.encode(testID)
	copy(b[at:], end[:])
}

func FuzzRecordHeader(f *testing.F) {
	var good [recordHeaderLen]byte
	h := recordHeader{keyLen: 3, valueLen: 4, offset: 64, file: 1, seq: 9, expiry: 10}
	h.encode(&good, idSeed(testID))
	f.Add(good[:], true, uint32(1))
	f.Add(good[:47], false, uint32(2))
	h.keyspaced = true
	var spaced [recordHeaderLen]byte
	h.encode(&spaced, idSeed(testID))
	f.Add(spaced[:], true, uint32(1))
	f.Add(spaced[:], true, uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, valid bool, version uint32) {
		b = bytes.Clone(b)
		if valid && len(b) >= recordHeaderLen {
			copy(b[rhMarker:], good[rhMarker:rhMarker+4])
			sum := crcOf(b[rhBodySum:recordHeaderLen])
			copy(b, sum[:])
		}
		var h recordHeader
		if h.decode(b, idSeed(testID), version) != "" {
			return
		}
		if version < 2 && h.keyspaced {
			t.Fatal("a keyspace in a file of version 1")
		}
		var again [recordHeaderLen]byte
		h.encode(&again, idSeed(testID))
		if !bytes.Equal(again[:], b[:recordHeaderLen]) {
			t.Fatalf("%x decodes to %+v, which encodes to %x", b, h, again)
		}
		if p := h.pointer(); int64(p.Size) != h.size() || h.size() > recordLenMax {
			t.Fatalf("pointer %+v of a record of %d bytes", p, h.size())
		}
	})
}

// crcOf is the header checksum of what follows it, as stored.
func crcOf(b []byte) (sum [4]byte) {
	binary.LittleEndian.PutUint32(sum[:], crc32.Update(idSeed(testID), castagnoli, b))
	return sum
}
