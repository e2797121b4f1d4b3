package vlog

import (
	"bytes"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

func TestConcurrentAppendsSyncsAndReads(t *testing.T) {
	m := newMem(t)
	w := mustCreate(t, m, 1, testID)
	c := openCache(t, m)
	loc := Location{Physical: 1, ID: testID}
	var appenders, syncers sync.WaitGroup
	for g := range 4 {
		appenders.Go(func() {
			for i := range 100 {
				e := makeEntry(g*1000+i, 100*(i%20))
				if i%25 == 0 {
					e.value = randomValue(directBytes+i, 9)
				}
				var err error
				if e.ptr, err = w.Append(e.keyspace, e.key, e.seq, e.expiry, e.value); err != nil {
					t.Error(err)
				}
				if err := w.Flush(); err != nil {
					t.Error(err)
				}
				got, err := c.Read(nil, loc, e.keyspace, e.key, e.seq, e.ptr)
				if err != nil || !bytes.Equal(got, e.value) {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	for range 2 {
		syncers.Go(func() {
			last := int64(0)
			for {
				select {
				case <-stop:
					return
				default:
				}
				durable, err := w.Sync()
				if err != nil || durable < last || durable > w.Size() {
					t.Errorf("durable up to %d after %d, %v", durable, last, err)
				}
				last = durable
			}
		})
	}
	appenders.Wait()
	close(stop)
	syncers.Wait()
	info, err := w.Seal()
	if err != nil || info.Records != 400 {
		t.Fatalf("got %+v, %v", info, err)
	}
	if _, err := VerifyFile(m, "/db", 1, testID, info.Size, nil); err != nil {
		t.Fatal(err)
	}
}

func TestAGroupOfSmallRecordsIsOneWrite(t *testing.T) {
	m := newMem(t)
	writes, syncs := 0, 0
	f := vfs.NewFaulty(m, func(op vfs.Op) *vfs.Fault {
		switch op.Kind {
		case vfs.OpWrite:
			writes++
		case vfs.OpSync:
			syncs++
		}
		return nil
	})
	w := mustCreate(t, f, 1, testID)
	writes, syncs = 0, 0
	for i := range 200 {
		mustAppend(t, w, makeEntry(i, 2000))
	}
	if err := errors.Join(w.Flush(), w.Flush()); err != nil || writes != 1 {
		t.Fatalf("%d writes, %v", writes, err)
	}
	for range 3 { // nothing new after the first
		if _, err := w.Sync(); err != nil || syncs != 1 {
			t.Fatalf("%d syncs, %v", syncs, err)
		}
	}
	mustAppend(t, w, makeEntry(1, directBytes))
	if writes != 3 {
		t.Fatalf("%d writes for a header and a large value", writes-1)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestLimitsAreCheckedBeforeAnythingIsWritten(t *testing.T) {
	m := newMem(t)
	w := mustCreate(t, m, 1, testID)
	if _, err := w.Append(0, make([]byte, KeyLenMax+1), 1, 0, nil); !errors.Is(err, base.ErrKeyTooLarge) {
		t.Fatalf("got %v", err)
	}
	if err := checkLimits(nil, make([]byte, 0, 1)); err != nil {
		t.Fatal(err)
	}
	e := mustAppend(t, w, entry{key: bytes.Repeat([]byte("k"), KeyLenMax), seq: base.SeqNumMax, expiry: math.MaxUint64, value: randomValue(3, 1)})
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	c := openCache(t, m)
	wantEntry(t, c, Location{Physical: 1, ID: testID}, e)
	w.size.Store(OffsetMax + 1)
	if _, err := w.Append(0, nil, 1, 0, nil); err == nil {
		t.Fatal("a record past the last offset")
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(m, "/db", 2, WriterOptions{Logical: 3}); err == nil {
		t.Fatal("a logical file of another number")
	}
	if _, err := Create(m, "/db", 1, WriterOptions{}); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v", err)
	}
	if _, err := NewRewriter(m, "/db", 1, 1); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("got %v", err)
	}
}

func TestAWriterThatCannotCutATornWriteOffRefusesEverything(t *testing.T) {
	m := newMem(t)
	f := vfs.NewFaulty(m, nil)
	w := mustCreate(t, f, 1, testID)
	e := mustAppend(t, w, makeEntry(0, 50))
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	f.SetDecide(func(op vfs.Op) *vfs.Fault {
		switch op.Kind {
		case vfs.OpWrite:
			return &vfs.Fault{Err: syscall.ENOSPC, Short: true}
		case vfs.OpTruncate:
			return &vfs.Fault{Err: syscall.EIO}
		}
		return nil
	})
	if _, err := w.Append(0, []byte("k"), 9, 0, make([]byte, directBytes)); !errors.Is(err, syscall.EIO) || !vfs.IsNoSpace(err) {
		t.Fatalf("got %v", err)
	}
	f.SetDecide(nil)
	if err := w.Flush(); !errors.Is(err, syscall.EIO) {
		t.Fatalf("got %v", err)
	}
	info, err := w.Abandon()
	if err != nil || info.Records != 1 || info.Size != int64(e.ptr.Offset)+int64(e.ptr.Size) {
		t.Fatalf("got %+v, %v", info, err)
	}
	checkScan(t, m, 1, testID, []entry{e})
}

func TestOnlyLackOfSpaceLeavesAWriterUsable(t *testing.T) {
	for err, usable := range map[error]bool{syscall.ENOSPC: true, syscall.EIO: false} {
		m := newMem(t)
		f := vfs.NewFaulty(m, nil)
		w := mustCreate(t, f, 1, testID)
		e := mustAppend(t, w, makeEntry(0, 50))
		f.SetDecide(vfs.FaultNth(1, vfs.OfKind(vfs.OpWrite), vfs.Fault{Err: err, Short: true}, false))
		if got := w.Flush(); !errors.Is(got, err) {
			t.Fatalf("got %v", got)
		}
		if (w.Failed() == nil) != usable {
			t.Fatalf("after %v: %v", err, w.Failed())
		}
		if !usable {
			if info, err := w.Abandon(); err != nil || info.Records != 0 || w.Size() != HeaderLen {
				t.Fatalf("got %+v, %v", info, err)
			}
			checkScan(t, m, 1, testID, nil)
			continue
		}
		if _, err := w.Seal(); err != nil {
			t.Fatal(err)
		}
		checkScan(t, m, 1, testID, []entry{e})
	}
}

func TestARewriterRefusesDisorder(t *testing.T) {
	m := newMem(t)
	rec := func(file base.FileNum, off uint32) Record {
		return Record{Pointer: base.Pointer{File: file, Offset: off, Size: recordHeaderLen + 3, ValueLen: 2}, Key: []byte("k"), Value: []byte("vv"), Seq: 1}
	}
	wrongSize := rec(1, 99)
	wrongSize.Value = []byte("v")
	bigKey := rec(1, 99)
	bigKey.Key = make([]byte, KeyLenMax+1)
	bigSeq := rec(1, 99)
	bigSeq.Seq = base.SeqNumMax + 1
	for what, recs := range map[string][]Record{
		"same offset twice":  {rec(1, 64), rec(1, 64)},
		"descending offsets": {rec(1, 164), rec(1, 64)},
		"a file in pieces":   {rec(1, 64), rec(2, 64), rec(1, 164)},
		"wrong size":         {wrongSize},
		"large key":          {bigKey},
		"large seq":          {bigSeq},
		"offset too large":   {rec(1, OffsetMax+1)},
	} {
		w, err := NewRewriter(m, "/db", 1, testID)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range recs {
			if err := w.Add(r); (err != nil) != (i == len(recs)-1) {
				t.Fatalf("%s: record %d gave %v", what, i, err)
			}
		}
		if err := w.Add(rec(9, 64)); err == nil {
			t.Fatal("a record after an error")
		}
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
		if err := w.Abort(); err != nil {
			t.Fatal(err)
		}
	}
	w, err := NewRewriter(m, "/db", 1, testID)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Add(rec(5, 70)), w.Add(rec(5, 90)), w.Add(rec(2, 64))); err != nil {
		t.Fatal(err)
	}
	w.a.written += rewriteOffsetMax
	if err := w.Add(rec(2, 164)); err == nil {
		t.Fatal("a record past the last offset")
	}
	if err := w.Abort(); err != nil {
		t.Fatal(err)
	}
}

func TestARewriteOfNothingIsAValidFile(t *testing.T) {
	m := newMem(t)
	e := writeFile(t, m, 1, testID, 10)[0]
	info := rewrite(t, m, 2, testID+1, func(Record) bool { return false }, 1)
	if len(info.Logicals) != 0 || info.Bytes != 0 {
		t.Fatalf("got %+v", info)
	}
	checkScan(t, m, 2, testID+1, nil)
	_, err := openCache(t, m).Read(nil, Location{Physical: 2, ID: testID + 1, Rewritten: true}, e.keyspace, e.key, e.seq, e.ptr)
	wantCorruption(t, err)
}

func TestVeryLargeValues(t *testing.T) {
	if testing.Short() {
		t.Skip("writes and reads hundreds of megabytes")
	}
	size := 64 << 20
	if os.Getenv("CORDWOOD_GIGABYTE_VALUE") != "" {
		size = ValueLenMax
	}
	dir := t.TempDir()
	w, err := Create(vfs.OS(), dir, 1, WriterOptions{ID: testID})
	if err != nil {
		t.Fatal(err)
	}
	value := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		value[i] = byte(i >> 12)
	}
	key := []byte("large")
	ptr, err := w.Append(0, key, 5, 0, value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Seal(); err != nil {
		t.Fatal(err)
	}
	r, err := NewRewriter(vfs.OS(), dir, 2, testID+1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ScanFile(vfs.OS(), dir, 1, testID, 0, 0, r.Add); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Finish(); err != nil {
		t.Fatal(err)
	}
	c := NewFileCache(vfs.OS(), dir, 2, nil)
	for _, loc := range []Location{{Physical: 1, ID: testID}, {Physical: 2, ID: testID + 1, Rewritten: true}} {
		got, err := c.Read(nil, loc, 0, key, 5, ptr)
		if err != nil || !bytes.Equal(got, value) {
			t.Fatal(err)
		}
		if err := c.VerifyRecord(loc, 0, key, 5, ptr); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(dir, fileName(1)), int64(size/2)); err != nil {
		t.Fatal(err)
	}
	c = NewFileCache(vfs.OS(), dir, 2, nil)
	_, err = c.Read(nil, Location{Physical: 1, ID: testID}, 0, key, 5, ptr)
	wantCorruption(t, err)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
