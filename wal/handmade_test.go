package wal

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// handmade writes segment num with one record, and returns the LSN behind it.
func handmade(t *testing.T, m *vfs.Mem, num base.SegmentNum, h record.FileHeader, typ byte, payload []byte) uint64 {
	t.Helper()
	f, err := m.Create(filePath(testDir, num))
	must(t, err)
	h.Kind, h.ID = base.FileWAL, 5+uint64(num)
	w, err := record.NewWriter(f, h)
	must(t, err)
	end, err := w.Append(0, typ, payload)
	must(t, err)
	must(t, f.Close())
	return end
}

func TestValidRecordsThatMakeNoSenseAreDamage(t *testing.T) {
	toTwo := seal{next: 2, id: 7}.encode()
	toThree := seal{next: 3, id: 7}.encode()
	for _, c := range []struct {
		what    string
		typ     byte
		payload []byte
		second  uint64 // start LSN of segment 2
		number  uint64 // that it says it has
		reason  string
	}{
		{"type", 9, nil, 0, 2, "unknown type 9"},
		{"short seal", typeSeal, []byte("seal"), 0, 2, "malformed seal"},
		{"seal elsewhere", typeSeal, toThree[:], 112, 2, "seal leads to segment 3"},
		{"gap", typeSeal, toTwo[:], 113, 2, "starts at LSN 113"},
		{"number", typeSeal, toTwo[:], 112, 3, "number 3"},
	} {
		m := newMem(t)
		handmade(t, m, 1, record.FileHeader{Number: 1}, c.typ, c.payload)
		handmade(t, m, 2, record.FileHeader{Number: c.number, StartLSN: c.second}, typeCommits, payload(0, 1))
		_, err := replayDir(m, testDir, 1)
		var damage *base.CorruptionError
		if !errors.As(err, &damage) || !strings.Contains(damage.Reason, c.reason) {
			t.Errorf("%s: %v", c.what, err)
		}
	}
}

// TestProofIsFoundBehindAHoleInANewerSegment: the record that proves may itself
// stand behind bytes that were lost, in a segment that is lost.
func TestProofIsFoundBehindAHoleInANewerSegment(t *testing.T) {
	for _, synced := range []bool{false, true} {
		m := newMem(t)
		l, err := Create(testOptions(m), 1, 0)
		must(t, err)
		mustAppend(t, l, 0, 600)
		at := l.SegmentBytes()
		mustAppend(t, l, 1, 600)
		must(t, l.Rotate(2))
		hole := l.SegmentBytes()
		mustAppend(t, l, 2, 10)
		if synced {
			mustSync(t, l)
		}
		mustAppend(t, l, 3, 10)
		must(t, l.Close())
		for seg, off := range map[base.SegmentNum]int64{1: at + 100, 2: hole} {
			f, err := m.OpenReadWrite(filePath(testDir, seg))
			must(t, err)
			_, err = f.WriteAt(make([]byte, 40), off)
			must(t, err)
			must(t, f.Close())
		}
		r, err := replayDir(m, testDir, 0)
		var damage *base.CorruptionError
		switch {
		case synced && (!errors.As(err, &damage) || damage.File != "000001.wal" || damage.Offset != at):
			t.Fatal(err)
		case !synced && (err != nil || len(r.records) != 1 || r.Cut.Offset != at || len(r.Cut.LostSegments) != 1):
			t.Fatal(r, err)
		}
	}
}

func TestFailedRepairAndRemoveMayBeRepeated(t *testing.T) {
	for n := int64(1); ; n++ {
		m := chain(t)
		_, res, err := refuseFrom(m, 4)
		must(t, err)
		faulty := vfs.NewFaulty(m, vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false))
		err = Repair(faulty, testDir, *res.Cut)
		if err != nil && !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		records, again, rerr := refuseFrom(m, 4)
		must(t, rerr)
		if len(records) != 4 || again.EndLSN != res.EndLSN || m.OpenHandles() != 0 {
			t.Fatalf("%+v", again)
		}
		must(t, Repair(m, testDir, *res.Cut))
		if r := mustReplay(t, m, 0); len(r.records) != 4 || r.Cut != nil {
			t.Fatalf("%+v", r)
		}
		if err == nil {
			break
		}
	}
	for n := int64(1); ; n++ {
		m := chain(t)
		faulty := vfs.NewFaulty(m, vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false))
		removed, err := Remove(faulty, testDir, 3)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		rest, err := Remove(m, testDir, 3)
		if err != nil || removed+rest != 2 {
			t.Fatal(removed, rest, err)
		}
	}
}

func TestFailedReplayIsNotDamage(t *testing.T) {
	for n := int64(1); ; n++ {
		m := chain(t)
		_, err := Replay(vfs.NewFaulty(m, vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false)), testDir, 1, nil)
		if err == nil {
			break
		}
		var damage *base.CorruptionError
		if !errors.Is(err, syscall.EIO) || errors.As(err, &damage) || m.OpenHandles() != 0 {
			t.Fatal(err, m.OpenHandles())
		}
	}
}

func TestOnlySegmentWithRecordsButWithoutHeaderIsDamage(t *testing.T) {
	for _, n := range []int{1, record.HeaderLen} {
		m := newMem(t)
		handmade(t, m, 1, record.FileHeader{Number: 1}, typeCommits, payload(0, 1))
		f, err := m.OpenReadWrite(filePath(testDir, 1))
		must(t, err)
		_, err = f.WriteAt(make([]byte, n), 0)
		must(t, err)
		must(t, f.Close())
		r, err := replayDir(m, testDir, 0)
		var damage *base.CorruptionError
		if !errors.As(err, &damage) || damage.Offset != 0 {
			t.Fatal(r, err)
		}
	}
}
