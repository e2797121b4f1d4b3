package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// fileRun is one run of the files command.
type fileRun struct {
	*session
	tree     *tree
	storeDir string
	store    *db.DB
}

// runFiles stores a file tree, reopens the store and compares every byte, by
// point reads along a new walk and by a scan.
func runFiles(ctx context.Context, s *session) (results []result, err error) {
	f := &fileRun{session: s, storeDir: filepath.Join(s.dir, "store")}
	if f.tree, err = s.openTree(ctx); err != nil {
		return nil, err
	}
	defer func() {
		if f.store != nil {
			err = errors.Join(err, f.store.Close())
		}
	}()
	if f.store, err = db.Open(f.storeDir, s.config.options()); err != nil {
		return nil, err
	}
	put, err := f.put(ctx)
	if err != nil {
		return nil, err
	}
	opened, err := f.reopen()
	if err != nil {
		return []result{put}, err
	}
	get, err := f.compareByGets(ctx)
	if err != nil {
		return []result{put}, err
	}
	scan, err := f.compareByScan(ctx)
	if err != nil {
		return []result{put, get}, err
	}
	results = []result{put, get, scan}
	s.bar.clear()
	printSet(s.out, fmt.Sprintf("%s files of %s, %s", count(uint64(f.tree.len())), f.tree.root, size(f.tree.bytes)), results)
	fmt.Fprintf(s.out, "\n%s on disk for %s of paths and contents: %.2f bytes for each. Opening took %s.\n",
		size(put.Written.DiskBytes), size(put.Written.LiveBytes), put.Written.diskPerLive(), short(opened))
	fmt.Fprint(s.out, "Rates include reading the files; latencies are the store's alone.\n")
	f.tree.printOddities(s.out)
	fmt.Fprintf(s.out, "Every byte of every file was compared, twice: all right.\n")
	return results, nil
}

// openTree lists the tree of the command line and prints what is done with it.
func (s *session) openTree(ctx context.Context) (*tree, error) {
	root := s.config.tree
	if root == "" {
		var err error
		if root, err = goSource(ctx); err != nil {
			return nil, err
		}
	}
	printMachine(s.out, s.config)
	stop := s.bar.watch("walking "+root, 0, nil)
	defer stop()
	return walkTree(ctx, root)
}

// reopen closes the store and opens it again.
func (f *fileRun) reopen() (time.Duration, error) {
	err := f.store.Close()
	f.store = nil
	if err != nil {
		return 0, fmt.Errorf("closing: %w", err)
	}
	began := time.Now()
	f.store, err = db.Open(f.storeDir, f.config.options())
	return time.Since(began), err
}

// each calls do for every path, in several workers, and adds up one result.
func (f *fileRun) each(ctx context.Context, name string, paths []string, do func(w *worker, path string) error) (result, error) {
	j := &job{points: f.store, store: f.store, threads: f.config.threads}
	defer context.AfterFunc(ctx, func() { j.stopped.Store(true) })()
	workers := make([]*worker, j.threads)
	errs := make([]error, j.threads)
	for i := range workers {
		workers[i] = newWorker(j, i, share(len(paths), i, j.threads), f.config.seed)
	}
	stop := f.bar.watch(name, uint64(len(paths)), func() (done uint64) {
		for _, w := range workers {
			done += w.done.Load()
		}
		return done
	})
	defer stop()
	began := time.Now()
	var wg sync.WaitGroup
	for i, w := range workers {
		wg.Go(func() {
			for n := 0; n < w.operations && !j.stopped.Load(); n++ {
				if errs[i] = do(w, paths[n*j.threads+i]); errs[i] != nil {
					j.stopped.Store(true)
				}
			}
		})
	}
	wg.Wait()
	took := time.Since(began)
	if err := errors.Join(append(errs, ctx.Err())...); err != nil {
		return result{}, err
	}
	return sum(name, j, len(paths), took, workers...), nil
}

// put stores every file.
func (f *fileRun) put(ctx context.Context) (result, error) {
	before, meter := f.store.Metrics(), newMeter()
	r, err := f.each(ctx, "put", f.tree.paths, func(w *worker, path string) error {
		contents, err := f.tree.read(path)
		if err != nil {
			return err
		}
		began := time.Now()
		if err := f.store.Put([]byte(path), contents); err != nil {
			return fmt.Errorf("putting %q: %w", path, err)
		}
		w.record(time.Since(began), len(path)+len(contents))
		return nil
	})
	if err != nil {
		return r, err
	}
	stop := f.bar.watch("put: settling", 0, nil)
	took, err := settle(ctx, f.store)
	stop()
	if err != nil {
		return r, err
	}
	r.charge(meter.stop())
	r.Written = writtenSince(before, f.store.Metrics())
	r.Written.SettleSeconds = took.Seconds()
	r.Written.UserBytes, r.Written.LiveBytes = r.Bytes, r.Bytes
	r.Written.DiskBytes, err = diskBytes(f.storeDir)
	return r, err
}

// compareByGets walks the tree again and compares each file with the store.
func (f *fileRun) compareByGets(ctx context.Context) (result, error) {
	again, err := listTree(ctx, f.tree.root)
	if err != nil {
		return result{}, err
	}
	paths := f.tree.known(again)
	meter := newMeter()
	r, err := f.each(ctx, "get", paths, f.getFile)
	r.charge(meter.stop())
	return r, err
}

// getFile reads one path from the store and compares it.
func (f *fileRun) getFile(w *worker, path string) error {
	w.key = append(w.key[:0], path...)
	began := time.Now()
	value, err := f.store.AppendGet(w.value[:0], w.key)
	took := time.Since(began)
	if errors.Is(err, db.ErrNotFound) {
		return &wrongAnswer{Key: path, Problem: "not found; it was stored"}
	}
	if err != nil {
		return fmt.Errorf("getting %q: %w", path, err)
	}
	w.value = value
	w.record(took, len(path)+len(value))
	return f.tree.compare(path, value)
}

// compareByScan walks store and tree side by side: same paths, same bytes.
func (f *fileRun) compareByScan(ctx context.Context) (result, error) {
	j := &job{threads: 1}
	w, meter, began := newWorker(j, 0, f.tree.len(), 0), newMeter(), time.Now()
	stop := f.bar.watch("scan", uint64(f.tree.len()), w.done.Load)
	defer stop()
	next, step := 0, began
	for item, err := range f.store.Scan(db.All()) {
		if err != nil {
			return result{}, fmt.Errorf("scanning: %w", err)
		}
		value, err := item.Value()
		if err != nil {
			return result{}, fmt.Errorf("scanning: value of %q: %w", item.Key(), err)
		}
		w.record(time.Since(step), len(item.Key())+len(value))
		if err := f.seeFile(next, item.Key(), value); err != nil {
			return result{}, err
		}
		if err := ctx.Err(); err != nil {
			return result{}, err
		}
		next, step = next+1, time.Now()
	}
	if next < f.tree.len() {
		return result{}, &wrongAnswer{Key: f.tree.paths[next], Problem: "the scan ended before it"}
	}
	r := sum("scan", j, f.tree.len(), time.Since(began), w)
	r.charge(meter.stop())
	return r, nil
}

// seeFile checks one entry of a scan of everything: the next-th.
func (f *fileRun) seeFile(next int, key, value []byte) error {
	if next >= f.tree.len() {
		return &wrongAnswer{Key: string(key), Problem: "the scan shows it after the last file"}
	}
	if want := f.tree.paths[next]; string(key) != want {
		return &wrongAnswer{Key: string(key), Problem: fmt.Sprintf("the scan shows it where %q must come", want)}
	}
	return f.tree.compare(string(key), value)
}

// compare checks a value that the store gave for a stored path. A file that was
// changed after it was stored may differ, but not the value from what was
// stored.
func (t *tree) compare(path string, value []byte) error {
	file, known := t.files[path]
	if !known {
		return &wrongAnswer{Key: path, Problem: "no such file was ever stored"}
	}
	contents, err := os.ReadFile(t.name(path))
	if err == nil && bytes.Equal(contents, value) {
		return nil
	}
	if t.hash(value) == file.Load() {
		t.changed.Add(1)
		return nil
	}
	if err != nil {
		return &wrongAnswer{Key: path, Problem: "differs from the file that was stored, which cannot be read any more: " + err.Error()}
	}
	return &wrongAnswer{Key: path, Problem: difference(value, contents)}
}

// difference tells where two byte strings part.
func difference(got, want []byte) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d bytes, the file has %d", len(got), len(want))
	}
	at := 0
	for at < len(got) && got[at] == want[at] {
		at++
	}
	return fmt.Sprintf("differs from the file at byte %d of %d", at, len(got))
}
