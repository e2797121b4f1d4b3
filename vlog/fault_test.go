package vlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/invariants"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// workload writes groups of records through faults, as an owner does: a writer
// that refuses is abandoned and another file started.
type workload struct {
	t       *testing.T
	fs      vfs.FS
	num     base.FileNum
	w       *Writer
	next    int
	pending map[base.FileNum][]entry // acknowledged by Append, not yet flushed
	flushed map[base.FileNum][]entry
	durable map[base.FileNum][]entry
	lost    map[base.FileNum]bool // what is flushed there is unknown: an fsync failed
	failed  map[base.SeqNum]bool  // Append failed
	sealed  map[base.FileNum]Info
}

func newWorkload(t *testing.T, fsys vfs.FS) *workload {
	return &workload{
		t: t, fs: fsys,
		pending: map[base.FileNum][]entry{}, flushed: map[base.FileNum][]entry{}, durable: map[base.FileNum][]entry{},
		lost: map[base.FileNum]bool{}, failed: map[base.SeqNum]bool{}, sealed: map[base.FileNum]Info{},
	}
}

// writer returns a usable writer, or nil.
func (l *workload) writer() *Writer {
	if l.w != nil {
		return l.w
	}
	l.num++
	w, err := Create(l.fs, "/db", l.num, WriterOptions{ID: testID + uint64(l.num)})
	if err == nil {
		l.w = w
	}
	return l.w
}

func (l *workload) group(sizes []int, sync bool) {
	w := l.writer()
	if w == nil {
		return
	}
	for _, n := range sizes {
		e := makeEntry(l.next, n)
		l.next++
		var err error
		if e.ptr, err = w.Append(e.keyspace, e.key, e.seq, e.expiry, e.value); err != nil {
			l.failed[e.seq] = true
			l.giveUp()
			return
		}
		l.pending[l.num] = append(l.pending[l.num], e)
	}
	if err := w.Flush(); err != nil {
		l.giveUp()
		return
	}
	l.flushed[l.num] = append(l.flushed[l.num], l.pending[l.num]...)
	l.pending[l.num] = nil
	if !sync {
		return
	}
	if _, err := w.Sync(); err != nil {
		l.giveUp()
		return
	}
	l.durable[l.num] = append(l.durable[l.num][:0], l.flushed[l.num]...)
}

// giveUp abandons a writer that does not accept more.
func (l *workload) giveUp() {
	failed := l.w.Failed()
	if failed == nil {
		return // lack of space: it may go on
	}
	if _, err := l.w.Append(0, nil, 1, 0, nil); !errors.Is(err, failed) {
		l.t.Fatalf("a failed writer accepts a record: %v", err)
	}
	info, err := l.w.Abandon()
	if err == nil {
		l.sealed[l.num] = info
		l.durable[l.num] = l.flushed[l.num]
	} else {
		l.lost[l.num] = true
	}
	l.w = nil
}

func (l *workload) finish() {
	if l.w == nil {
		return
	}
	info, err := l.w.Seal()
	if err != nil {
		l.giveUp()
		if l.w != nil {
			if err := l.w.Close(); err != nil {
				l.lost[l.num] = true
			}
			l.w = nil
		}
		return
	}
	l.sealed[l.num] = info
	l.durable[l.num] = l.flushed[l.num]
	l.w = nil
}

// check reads everything back from m: what is flushed where the process lived
// on, what is durable after a power loss.
func (l *workload) check(m *vfs.Mem, crashed bool) {
	l.t.Helper()
	c := NewFileCache(m, "/db", 10, nil)
	for num := base.FileNum(1); num <= l.num; num++ {
		want := l.flushed[num]
		if crashed {
			want = l.durable[num]
		}
		end := int64(0)
		for _, e := range want {
			wantEntry(l.t, c, Location{Physical: num, ID: testID + uint64(num)}, e)
			end = int64(e.ptr.Offset) + int64(e.ptr.Size)
		}
		if _, err := m.Stat("/db/" + fileName(num)); err != nil {
			continue // Create failed
		}
		validEnd, err := ScanFile(m, "/db", num, 0, 0, 0, func(r Record) error {
			if l.failed[r.Seq] {
				return fmt.Errorf("record %d whose Append failed is in the file", r.Seq)
			}
			return nil
		})
		if validEnd < end {
			l.t.Fatalf("file %d is valid up to %d only, want %d: %v", num, validEnd, end, err)
		}
		info, ok := l.sealed[num]
		if got, err := Inspect(m, "/db", num, 0); ok && (err != nil || got != info) {
			l.t.Fatalf("file %d was sealed with %+v, has %+v, %v", num, info, got, err)
		}
	}
	if err := c.Close(); err != nil {
		l.t.Fatal(err)
	}
	if n := m.OpenHandles(); n != 0 {
		l.t.Fatalf("%d open handles", n)
	}
}

func (l *workload) run() {
	l.group([]int{10, 2000, 30}, true)
	l.group([]int{100, directBytes, 50}, false)
	l.group([]int{directBytes + 9}, true)
	l.group([]int{500_000, 600_000, 10, 1000, 2000}, false)
	l.group([]int{1}, true)
	l.group([]int{60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000,
		60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000, 60_000}, true)
	l.group([]int{7, 8}, false)
	l.finish()
}

// faultStep is the distance of the operations that fail: under the race detector,
// which makes all this slow, not each of them does.
var faultStep = func() int64 {
	if invariants.Enabled {
		return 7
	}
	return 1
}()

func TestAWriterSurvivesAFaultAtEveryOperation(t *testing.T) {
	testkit.Sequential(t)
	faults := []vfs.Fault{{Err: syscall.EIO}, {Err: syscall.ENOSPC}, {Err: syscall.EIO, Short: true}, {Err: syscall.ENOSPC, Short: true}}
	for _, fault := range faults {
		for _, sticky := range []bool{false, true} {
			for n := int64(1); ; n += faultStep {
				m := newMem(t)
				fsys := vfs.NewFaulty(m, vfs.FaultNth(n, vfs.AnyOp, fault, sticky))
				l := newWorkload(t, fsys)
				l.run()
				fsys.SetDecide(nil)
				l.check(m, false)
				l.check(m.CrashClone(nil), true)
				if fsys.Count() < n {
					break
				}
			}
		}
	}
}

func TestAFullDiskTakesRecordsAgainOnceThereIsRoom(t *testing.T) {
	m := newMem(t)
	w := mustCreate(t, m, 1, testID)
	var es []entry
	add := func(size int) error {
		e := makeEntry(len(es), size)
		var err error
		if e.ptr, err = w.Append(e.keyspace, e.key, e.seq, e.expiry, e.value); err == nil {
			es = append(es, e)
		}
		return err
	}
	if err := errors.Join(add(3000), w.Flush()); err != nil {
		t.Fatal(err)
	}
	m.SetCapacity(m.Used() + 8<<10)
	if err := add(200_000); !vfs.IsNoSpace(err) {
		t.Fatalf("got %v", err)
	}
	for i := 0; ; i++ { // commits that fail one after the other do not pile up memory
		err := add(20_000)
		if i == 1000 {
			if !vfs.IsNoSpace(err) || cap(w.a.buf) > 2*bufferBytesMax {
				t.Fatalf("got %v, %d bytes buffered", err, cap(w.a.buf))
			}
			break
		}
		if err := w.Flush(); !vfs.IsNoSpace(err) {
			t.Fatalf("got %v", err)
		}
	}
	if _, err := w.Seal(); !vfs.IsNoSpace(err) {
		t.Fatalf("got %v", err)
	}
	if _, err := w.Sync(); !vfs.IsNoSpace(err) {
		t.Fatalf("got %v", err)
	}
	c := openCache(t, m)
	wantEntry(t, c, Location{Physical: 1, ID: testID}, es[0])
	if size, err := m.Stat("/db/000001.vlog"); err != nil || size.Size != int64(es[1].ptr.Offset) {
		t.Fatalf("the file was not cut back: %+v, %v", size, err)
	}
	m.SetCapacity(-1)
	if err := errors.Join(add(200_000), add(10)); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	checkScan(t, m, 1, testID, es)
}

func TestAFailedSyncIsNeverRetried(t *testing.T) {
	m := newMem(t)
	f := vfs.NewFaulty(m, nil)
	w := mustCreate(t, f, 1, testID)
	mustAppend(t, w, makeEntry(0, 100))
	syncs := 0
	f.SetDecide(func(op vfs.Op) *vfs.Fault {
		if op.Kind != vfs.OpSync {
			return nil
		}
		if syncs++; syncs > 1 {
			return nil
		}
		return &vfs.Fault{Err: syscall.EIO}
	})
	if _, err := w.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if _, err := w.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if _, err := w.Append(0, nil, 1, 0, nil); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if _, err := w.Seal(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if w.Durable() != HeaderLen {
		t.Fatalf("durable up to %d", w.Durable())
	}
	if _, err := w.Abandon(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	if syncs != 1 || m.OpenHandles() != 0 {
		t.Fatalf("%d fsyncs, %d open handles", syncs, m.OpenHandles())
	}
	if _, err := w.Abandon(); err == nil {
		t.Fatal("Abandon twice")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestARewriteFailsCleanlyAtEveryOperation(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 1, testID, roundTripSizes...)
	writeFile(t, m, 2, testID+1, make([]int, 1500)...)
	run := func(fsys vfs.FS) error {
		w, err := NewRewriter(fsys, "/db", 3, testID+2)
		if err != nil {
			return err
		}
		for _, num := range []base.FileNum{1, 2} {
			if _, err := ScanFile(fsys, "/db", num, 0, 0, 0, w.Add); err != nil {
				return errors.Join(err, w.Abort())
			}
		}
		if _, err := w.Finish(); err != nil {
			return errors.Join(err, w.Abort())
		}
		return w.Abort() // does nothing
	}
	for _, fault := range []vfs.Fault{{Err: syscall.EIO}, {Err: syscall.ENOSPC, Short: true}} {
		for n := int64(1); ; n += faultStep {
			m := m.KillClone()
			fsys := vfs.NewFaulty(m, vfs.FaultNth(n, vfs.AnyOp, fault, false))
			err := run(fsys)
			if m.OpenHandles() != 0 {
				t.Fatalf("operation %d: %d open handles", n, m.OpenHandles())
			}
			_, statErr := m.Stat("/db/" + fileName(3))
			if err != nil && statErr == nil && fsys.Count() > n+1 {
				t.Fatalf("operation %d: a failed rewrite left its file: %v", n, err)
			}
			if err == nil {
				after := m.CrashClone(nil)
				if _, err := VerifyFile(after, "/db", 3, testID+2, 0, nil); err != nil {
					t.Fatalf("operation %d: %v", n, err)
				}
				c := NewFileCache(after, "/db", 2, nil)
				wantEntry(t, c, Location{Physical: 3, ID: testID + 2, Rewritten: true}, es[n%int64(len(es))])
				if err := c.Close(); err != nil {
					t.Fatal(err)
				}
			}
			if fsys.Count() < n {
				break
			}
		}
	}
}

func TestAFailedReadIsNotRememberedAndNotDamage(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 1, testID, 100, 300_000)
	rewrite(t, m, 2, testID+1, keepAll, 1)
	for _, loc := range []Location{{Physical: 1, ID: testID}, {Physical: 2, ID: testID + 1, Rewritten: true}} {
		for _, e := range es {
			for n := int64(1); ; n++ {
				fsys := vfs.NewFaulty(m, vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false))
				c := NewFileCache(fsys, "/db", 1, nil)
				got, err := c.Read(make([]byte, 0, 10), loc, e.keyspace, e.key, e.seq, e.ptr)
				var damage *base.CorruptionError
				failed := fsys.Count() >= n
				if failed && (!errors.Is(err, syscall.EIO) || errors.As(err, &damage)) || !failed && err != nil {
					t.Fatalf("operation %d: %v", n, err)
				}
				if failed && len(got) != 0 {
					t.Fatal("a value with an error")
				}
				fsys.SetDecide(nil)
				wantEntry(t, c, loc, e)
				fsys.SetDecide(vfs.FailNth(1, vfs.OfKind(vfs.OpRead), syscall.EIO, true))
				if err := c.Verify(loc, e.ptr); !errors.Is(err, syscall.EIO) {
					t.Fatalf("Verify: %v", err)
				}
				reqs := []ReadRequest{{Loc: loc, Key: e.key, Keyspace: e.keyspace, Seq: e.seq, Ptr: e.ptr}, {Loc: loc, Key: e.key, Keyspace: e.keyspace, Seq: e.seq, Ptr: e.ptr}}
				if err := c.ReadMany(reqs); !errors.Is(err, syscall.EIO) || !errors.Is(reqs[1].Err, syscall.EIO) {
					t.Fatalf("ReadMany: %v", err)
				}
				fsys.SetDecide(vfs.FailNth(1, vfs.OfKind(vfs.OpClose), syscall.EIO, true))
				if err := c.Close(); !errors.Is(err, syscall.EIO) {
					t.Fatalf("Close: %v", err)
				}
				if !failed {
					break
				}
			}
		}
	}
	if m.OpenHandles() != 0 {
		t.Fatal("open handles left")
	}
}

func TestScansReportFailedReads(t *testing.T) {
	m := newMem(t)
	writeFile(t, m, 1, testID, 100, 300_000, 700_000)
	rewrite(t, m, 2, testID+1, keepAll, 1)
	scans := map[string]func(fs vfs.FS, num base.FileNum) error{
		"ScanFile": func(fs vfs.FS, num base.FileNum) error {
			_, err := ScanFile(fs, "/db", num, 0, 0, 0, func(Record) error { return nil })
			return err
		},
		"VerifyFile": func(fs vfs.FS, num base.FileNum) error {
			_, err := VerifyFile(fs, "/db", num, 0, 0, nil)
			return err
		},
		"Salvage": func(fs vfs.FS, num base.FileNum) error { return Salvage(fs, "/db", num, 0, nil, nil) },
		"Recover": func(fs vfs.FS, num base.FileNum) error {
			_, err := Recover(fs, "/db", num, 0, 0)
			return err
		},
	}
	for what, scan := range scans {
		for _, num := range []base.FileNum{1, 2} {
			for n := int64(1); ; n++ {
				fsys := vfs.NewFaulty(m, vfs.FailNth(n, vfs.AnyOp, syscall.EIO, false))
				err := scan(fsys, num)
				if fsys.Count() < n {
					if err != nil {
						t.Fatalf("%s: %v", what, err)
					}
					break
				}
				if !errors.Is(err, syscall.EIO) {
					t.Fatalf("%s, operation %d: %v", what, n, err)
				}
			}
		}
	}
	if m.OpenHandles() != 0 {
		t.Fatal("open handles left")
	}
}

func TestAnErrorOfTheCallerEndsAScan(t *testing.T) {
	m := newMem(t)
	es := writeFile(t, m, 1, testID, 10, 20, 30)
	n := 0
	end, err := ScanFile(m, "/db", 1, 0, 0, 0, func(r Record) error {
		if n++; n == 2 {
			return io.ErrUnexpectedEOF
		}
		return nil
	})
	if err != io.ErrUnexpectedEOF || end != int64(es[1].ptr.Offset) {
		t.Fatalf("got %d, %v", end, err)
	}
	if err := Salvage(m, "/db", 1, 0, func(Record) error { return io.ErrUnexpectedEOF }, nil); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	b := readFile(t, m, 1)
	b[70] ^= 1
	writeBytes(t, m, 1, b)
	if err := Salvage(m, "/db", 1, 0, nil, func(int64, int64, error) error { return io.ErrUnexpectedEOF }); err != io.ErrUnexpectedEOF {
		t.Fatal(err)
	}
	// From and to bound a scan.
	b[70] ^= 1
	writeBytes(t, m, 1, b)
	var keys []byte
	end, err = ScanFile(m, "/db", 1, 0, int64(es[1].ptr.Offset), int64(es[2].ptr.Offset), func(r Record) error {
		keys = append(keys, r.Key...)
		return nil
	})
	if err != nil || end != int64(es[2].ptr.Offset) || !bytes.Equal(keys, es[1].key) {
		t.Fatalf("got %q up to %d, %v", keys, end, err)
	}
	_, err = ScanFile(m, "/db", 1, 0, int64(len(b))+1, 0, nil)
	wantCorruption(t, err)
}
