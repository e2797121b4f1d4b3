package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// rewrite replaces a segment's bytes, durably.
func rewrite(t testing.TB, m *vfs.Mem, seg base.SegmentNum, b []byte) {
	t.Helper()
	path := filePath(testDir, seg)
	must(t, m.Remove(path))
	f, err := m.Create(path)
	must(t, err)
	_, err = f.WriteAt(b, 0)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	must(t, m.SyncDir(testDir))
}

// closedLog is a log that was closed in order, of three segments and two
// opens: everything but the last record is proven durable.
func closedLog(t testing.TB) (m *vfs.Mem, bytes map[base.SegmentNum][]byte, records int) {
	t.Helper()
	m = newMem(t)
	res := ReplayResult{NextSegment: 1}
	for range 2 {
		opts := testOptions(m)
		opts.NewID = ids(uint64(res.NextSegment))
		opts.PreallocateBytes = 200
		l, err := Create(opts, res.NextSegment, res.EndLSN)
		must(t, err)
		mustAppend(t, l, records, 40)
		mustAppend(t, l, records+1, 0)
		if res.NextSegment == 1 {
			must(t, l.Rotate(2))
		}
		mustAppend(t, l, records+2, 90)
		records += 3
		mustSync(t, l)
		must(t, l.WriteProof())
		must(t, l.Close())
		r := mustReplay(t, m, 0)
		if r.proven != records || r.Cut != nil {
			t.Fatalf("%+v", r)
		}
		res = r.ReplayResult
	}
	bytes = map[base.SegmentNum][]byte{}
	for _, seg := range res.Segments {
		b, err := vfs.ReadFile(m, filePath(testDir, seg), 1<<20)
		must(t, err)
		bytes[seg] = b
	}
	return m, bytes, records
}

// tellsDamage reports whether err names damage or a missing file, with a place.
func tellsDamage(err error) bool {
	var damage *base.CorruptionError
	var missing *base.MissingFileError
	var format *base.FormatError
	switch {
	case errors.As(err, &damage):
		return damage.File != "" && damage.Offset >= 0
	case errors.As(err, &missing):
		return missing.File != ""
	}
	return errors.As(err, &format)
}

// TestDamageIsToldAndNeverShortensAProvenLog damages every byte of a closed log
// in several ways, and cuts its files at every length. A replay gives all
// records or says what is wrong; never fewer.
func TestDamageIsToldAndNeverShortensAProvenLog(t *testing.T) {
	m, bytes, records := closedLog(t)
	try := func(seg base.SegmentNum, b []byte, what string) {
		rewrite(t, m, seg, b)
		r, err := replayDir(m, testDir, 0)
		switch {
		case err != nil && !tellsDamage(err):
			t.Fatalf("segment %d, %s: %v", seg, what, err)
		case err == nil && len(r.records) != records:
			t.Fatalf("segment %d, %s: %d records of %d, no error, cut %+v", seg, what, len(r.records), records, r.Cut)
		}
		if err == nil {
			for i, n := range r.records {
				if i != n {
					t.Fatalf("segment %d, %s: record %d is number %d", seg, what, i, n)
				}
			}
		}
	}
	for seg, whole := range bytes {
		// Nothing proves the last proof; damage that takes it along with what
		// it proves is a torn tail to all appearances.
		proof, cuts := len(whole), len(whole)
		if seg == 3 {
			for proof > 0 && whole[proof-1] == 0 {
				proof--
			}
			// A proof ends with its type and a zero.
			proof, cuts = proof+1-record.RecordHeaderLen, record.HeaderLen
		}
		for i := range whole {
			for _, flip := range []byte{0x01, 0x80, 0xff} {
				b := append([]byte(nil), whole...)
				b[i] ^= flip
				try(seg, b, fmt.Sprintf("byte %d flipped by %#x", i, flip))
			}
			if i%16 == 0 {
				b := append([]byte(nil), whole...)
				end := min(i+32, len(b))
				if i < proof {
					end = min(end, proof)
				}
				clear(b[i:end])
				try(seg, b, fmt.Sprintf("bytes %d to %d zeroed", i, end))
			}
			if i < cuts {
				try(seg, whole[:i], fmt.Sprintf("cut at %d", i))
			}
		}
		try(seg, append(append([]byte(nil), whole...), "garbage behind the end"...), "garbage appended")
		rewrite(t, m, seg, whole)
	}
	if r := mustReplay(t, m, 0); len(r.records) != records {
		t.Fatalf("%+v", r)
	}
}

func TestSwappedStaleAndForeignSegmentsAreDamage(t *testing.T) {
	m, bytes, _ := closedLog(t)
	fs := newMem(t)
	l, err := Create(Options{FS: fs, Dir: testDir}, 1, 0)
	must(t, err)
	mustAppend(t, l, 0, 40)
	mustAppend(t, l, 1, 0)
	must(t, l.Rotate(2))
	mustAppend(t, l, 2, 90)
	must(t, l.Rotate(3))
	must(t, l.Close())
	foreign, err := vfs.ReadFile(fs, filePath(testDir, 2), 1<<20)
	must(t, err)
	for _, c := range []struct {
		what string
		seg  base.SegmentNum
		b    []byte
		file string
	}{
		{"swapped", 2, bytes[3], "000002.wal"},
		{"foreign", 2, foreign, "000002.wal"},
		{"first twice", 3, bytes[1], "000003.wal"},
		{"zeroed", 2, make([]byte, len(bytes[2])), "000002.wal"},
		{"last zeroed", 3, make([]byte, len(bytes[3])), "000003.wal"},
		{"empty", 3, nil, "000003.wal"},
		{"header zeroed", 3, append(make([]byte, 64), bytes[3][64:]...), "000003.wal"},
		{"first zeroed", 1, make([]byte, len(bytes[1])), "000001.wal"},
	} {
		rewrite(t, m, c.seg, c.b)
		_, err := replayDir(m, testDir, 0)
		var damage *base.CorruptionError
		if !errors.As(err, &damage) || damage.File != c.file {
			t.Errorf("%s: %v", c.what, err)
		}
		rewrite(t, m, c.seg, bytes[c.seg])
	}
	must(t, m.Remove(filePath(testDir, 3)))
	var missing *base.MissingFileError
	if _, err := replayDir(m, testDir, 0); !errors.As(err, &missing) || missing.File != "000003.wal" {
		t.Error(err)
	}
}

// TestFirstSegmentMustHaveItsHeaderOnceItIsNamed: the only segment of a new
// database may be cut off at its birth, but not one that a MANIFEST names.
func TestFirstSegmentMustHaveItsHeaderOnceItIsNamed(t *testing.T) {
	for _, b := range [][]byte{nil, make([]byte, 63), make([]byte, 5000), []byte("torn")} {
		m := newMem(t)
		f, err := m.Create(filePath(testDir, 1))
		must(t, err)
		_, err = f.WriteAt(b, 0)
		must(t, err)
		must(t, f.Close())
		var damage *base.CorruptionError
		if _, err := replayDir(m, testDir, 1); !errors.As(err, &damage) {
			t.Fatal(err)
		}
		r := mustReplay(t, m, 0)
		if r.Cut == nil || len(r.Cut.LostSegments) != 1 || r.NextSegment != 1 || r.EndLSN != 0 || len(r.Segments) != 0 {
			t.Fatalf("%+v, %+v", r, r.Cut)
		}
		must(t, Repair(m, testDir, *r.Cut))
		must(t, Repair(m, testDir, *r.Cut))
		if r := mustReplay(t, m, 0); r.Cut != nil || r.NextSegment != 1 {
			t.Fatalf("%+v", r)
		}
		l, err := Create(testOptions(m), 1, 0)
		must(t, err)
		must(t, l.Close())
	}
}

func TestCreateRefusesWhatReplayDidNotLeave(t *testing.T) {
	m, bytes, _ := closedLog(t)
	res := mustReplay(t, m, 0)
	opts := testOptions(m)
	for what, c := range map[string]struct {
		seg    base.SegmentNum
		lsn    uint64
		synced uint64
	}{
		"a taken number":       {3, res.EndLSN, 0},
		"number 0":             {0, 0, 0},
		"an end too early":     {4, res.EndLSN - 32, 0},
		"an end before it":     {4, 1, 0},
		"an end too late":      {4, res.EndLSN + 1<<20, 0},
		"a mark ahead":         {4, res.EndLSN, res.EndLSN + 1},
		"an LSN out of range":  {9, record.LSNMax + 1, 0},
		"a sealed predecessor": {3, 1 << 40, 0},
	} {
		opts.Synced = c.synced
		if l, err := Create(opts, c.seg, c.lsn); err == nil || errors.Is(err, ErrFailed) {
			t.Errorf("%s: %v, %v", what, l, err)
		}
	}
	for seg, want := range bytes {
		got, err := vfs.ReadFile(m, filePath(testDir, seg), 1<<20)
		must(t, err)
		if string(got) != string(want) {
			t.Errorf("segment %d has changed", seg)
		}
	}
	if nums, err := List(m, testDir); err != nil || len(nums) != 3 || m.OpenHandles() != 0 {
		t.Error(nums, err, m.OpenHandles())
	}
}

func TestNewerFormatIsRefused(t *testing.T) {
	m, bytes, _ := closedLog(t)
	b := append([]byte(nil), bytes[2]...)
	b[12]++ // the version
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], crc32.MakeTable(crc32.Castagnoli)))
	rewrite(t, m, 2, b)
	var format *base.FormatError
	if _, err := replayDir(m, testDir, 0); !errors.As(err, &format) || format.Found != 2 || format.File != "000002.wal" {
		t.Fatal(err)
	}
}

func TestMethodsOfAClosedLog(t *testing.T) {
	dir := t.TempDir()
	l, err := Create(Options{FS: vfs.OS(), Dir: dir}, 1, 0)
	must(t, err)
	must(t, l.Rotate(2))
	if err := l.Rotate(4); err == nil || errors.Is(err, ErrFailed) {
		t.Fatal(err)
	}
	must(t, l.Close())
	must(t, l.Close())
	if _, err := l.Append([]byte("x")); !errors.Is(err, base.ErrClosed) {
		t.Fatal(err)
	}
	if _, err := l.Sync(); !errors.Is(err, base.ErrClosed) {
		t.Fatal(err)
	}
	if err := l.Rotate(3); !errors.Is(err, base.ErrClosed) {
		t.Fatal(err)
	}
	l.Retire(9)
	must(t, os.RemoveAll(filepath.Join(dir, "000001.wal")))
}

func TestRetiredSegmentsAreNotSynced(t *testing.T) {
	m := newMem(t)
	l, err := Create(testOptions(m), 1, 0)
	must(t, err)
	for range 3 {
		must(t, l.Rotate(l.Segment()+1))
	}
	l.Retire(3)
	if n := m.OpenHandles(); n != 2 {
		t.Fatalf("%d handles open", n)
	}
	m.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpSync && filepath.Base(op.Path) < "000003.wal" {
			t.Errorf("%s synced", op.Path)
		}
		return nil
	})
	mustSync(t, l)
	if n := m.OpenHandles(); n != 1 {
		t.Fatalf("%d handles open", n)
	}
	must(t, l.Close())
}
