package sstable

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// useAll opens the table, looks everything up and scans both ways. The error
// is the first one met.
func useAll(fs vfs.FS, entries []iterator.Entry, o IterOptions) (err error) {
	c := newCacheUnmanaged()
	defer c.Close()
	r, err := tryOpen(fs, "t.sst", c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if err := checkScans(r, o, entries); err != nil {
		return err
	}
	for _, e := range entries {
		var res Result
		ok, err := r.Lookup(e.Key.User, filter.Hash(e.Key.User), e.Key.Trailer.SeqNum(), &res)
		res.Release()
		if err != nil {
			return err
		}
		if !ok {
			return errors.New("an entry was not found")
		}
	}
	return r.Verify(context.Background())
}

func TestEveryFailedReadSurfacesAndARetryWorks(t *testing.T) {
	mem := vfs.NewMem()
	opts, entries, dels := smallTable(3)
	writeTable(t, mem, "t.sst", opts, entries, dels)
	reads := vfs.OfKind(vfs.OpOpen, vfs.OpRead, vfs.OpSize)
	for _, o := range []IterOptions{{}, {Fill: true}, {Readahead: true}} {
		for n := int64(1); ; n++ {
			fs := vfs.NewFaulty(mem, vfs.FailNth(n, reads, vfs.ErrInjected, false))
			err := useAll(fs, entries, o)
			if err == nil {
				if n < 10 {
					t.Fatalf("only %d reads", n)
				}
				break
			}
			if !errors.Is(err, vfs.ErrInjected) || isCorruption(err) {
				t.Fatalf("%+v, read %d: %v", o, n, err)
			}
			if err := useAll(fs, entries, o); err != nil {
				t.Fatalf("%+v, after read %d failed once: %v", o, n, err)
			}
		}
	}
	if n := mem.OpenHandles(); n != 0 {
		t.Fatalf("%d handles left open", n)
	}
}

func TestAnIteratorThatFailedWorksWhenPositionedAnew(t *testing.T) {
	mem := vfs.NewMem()
	opts, entries, _ := smallTable(3)
	writeTable(t, mem, "t.sst", opts, entries, nil)
	fs := vfs.NewFaulty(mem, nil)
	reads := vfs.OfKind(vfs.OpRead)
	r := openTable(t, fs, "t.sst", nil)
	for _, o := range []IterOptions{{}, {Readahead: true}} {
		for skip := range len(entries) {
			it := r.NewIter(o)
			model := iterator.NewSlice(entries)
			gotOK, wantOK := it.First(), model.First()
			for range skip {
				gotOK, wantOK = it.Next(), model.Next()
			}
			fs.SetDecide(vfs.FailNth(1, reads, vfs.ErrInjected, true))
			for wantOK && it.Err() == nil {
				if err := sameEntry(it, model, gotOK, wantOK); err != nil {
					t.Fatal(err)
				}
				gotOK, wantOK = it.Next(), model.Next()
			}
			if it.Err() != nil && (gotOK || it.Next() || it.Prev() || !errors.Is(it.Err(), vfs.ErrInjected)) {
				t.Fatalf("goes on after %v", it.Err())
			}
			fs.SetDecide(nil)
			if err := checkScansOf(it, entries); err != nil {
				t.Fatalf("%+v after %d: %v", o, skip, err)
			}
			if err := it.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestEveryFailedWriteSurfaces(t *testing.T) {
	testkit.Sequential(t)
	entries := numbered(40000, 100)
	opts := WriterOptions{FilterBitsPerKey: 10}
	writes := vfs.OfKind(vfs.OpWrite, vfs.OpFlush, vfs.OpSync)
	for _, fault := range []vfs.Fault{{Err: vfs.ErrInjected}, {Err: vfs.ErrInjected, Short: true}} {
		for n := int64(1); ; n++ {
			failed := false
			decide := vfs.FaultNth(n, writes, fault, false)
			fs := vfs.NewFaulty(vfs.NewMem(), func(op vfs.Op) *vfs.Fault {
				f := decide(op)
				failed = failed || f != nil
				return f
			})
			f, err := fs.Create("t.sst")
			if err != nil {
				t.Fatal(err)
			}
			w := NewWriter(f, "t.sst", opts)
			for _, e := range entries {
				if err = w.Add(e.Key, e.Value); err != nil {
					break
				}
			}
			_, finishErr := w.Finish()
			if err != nil && !errors.Is(finishErr, err) {
				t.Fatalf("Add: %v; Finish: %v", err, finishErr)
			}
			if finishErr == nil {
				if failed {
					t.Fatalf("operation %d failed and nobody heard of it", n)
				}
				if n < 15 {
					t.Fatalf("only %d writes", n)
				}
				break
			}
			if !errors.Is(finishErr, vfs.ErrInjected) {
				t.Fatal(finishErr)
			}
			if err := w.Add(ikey("z", 1, base.KindSet), nil); !errors.Is(err, vfs.ErrInjected) {
				t.Fatalf("Add after a failure: %v", err)
			}
			w.EstimatedSize()
			if _, err := w.Finish(); !errors.Is(err, vfs.ErrInjected) {
				t.Fatalf("Finish after a failure: %v", err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestATableIsDurableAfterFinish(t *testing.T) {
	mem := vfs.NewMem()
	entries := numbered(3000, 50)
	writeTable(t, mem, "t.sst", WriterOptions{ID: testID}, entries, nil)
	if err := mem.SyncDir("."); err != nil {
		t.Fatal(err)
	}
	r := openTable(t, mem.CrashClone(nil), "t.sst", nil)
	if err := checkScans(r, IterOptions{}, entries); err != nil {
		t.Fatal(err)
	}
}

// shrinking is a file that ends early, after it was opened.
type shrinking struct {
	image
	limit int64
}

func (f *shrinking) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.limit {
		n := max(0, f.limit-off)
		return int(n), io.EOF
	}
	return f.image.ReadAt(p, off)
}

func TestAFileThatEndsEarlyIsDamaged(t *testing.T) {
	opts, entries, dels := smallTable(3)
	f := &shrinking{image: image{b: tableImage(t, opts, entries, dels)}, limit: 1 << 30}
	r, err := Open(f, "t.sst", ReaderOptions{})
	if err != nil {
		t.Fatal(err)
	}
	f.limit = 1000
	for _, o := range []IterOptions{{}, {Readahead: true}} {
		if err := checkScans(r, o, entries); !isCorruption(err) {
			t.Fatal(err)
		}
	}
	var res Result
	last := entries[len(entries)-1].Key
	if _, err := r.Lookup(last.User, filter.Hash(last.User), base.SeqNumMax, &res); !isCorruption(err) {
		t.Fatal(err)
	}
	if err := r.Verify(context.Background()); !isCorruption(err) {
		t.Fatal(err)
	}
}
