package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// openings are the stores that cycles of opening and closing start from.
type openings struct {
	root  string
	whole string // closed
	dirty string // as a killed process leaves it
	n     int    // cycles, for names
}

// opening is a way to open a store. It reports whether that worked, and an error
// if not what should happen did.
type opening struct {
	name string
	run  func(o *openings, r *rand.Rand) (opened bool, err error)
}

var openingKinds = []opening{
	{"closed while everything is open", (*openings).leaveOpen},
	{"recovered", (*openings).recovered},
	{"read-only, twice", (*openings).readOnly},
	{"locked", (*openings).locked},
	{"damaged", (*openings).damaged},
	{"a file is missing", (*openings).missing},
	{"another merge operator", (*openings).foreign},
	{"no store", (*openings).noStore},
	{"a failing file system", (*openings).faulty},
	{"closed at work", (*openings).closedAtWork},
}

func openingOptions() *db.Options {
	o := options()
	o.MemoryMax, o.MemtableBytes, o.Merge = 1<<20, 16<<10, db.Append()
	o.CompactionsMax = 2
	return o
}

// prepare makes the stores: each in a process of its own, one of which is
// killed.
func (o *openings) prepare(t *testing.T) {
	t.Helper()
	root := t.TempDir()
	*o = openings{root: root, whole: filepath.Join(root, "whole"), dirty: filepath.Join(root, "dirty")}
	for _, dir := range []string{o.whole, o.dirty} {
		c := startChild(t, "filler", dir, nil)
		if line := c.line(); line != "filled" {
			t.Fatalf("%q: %v", line, c.complaint())
		}
		if dir == o.whole {
			if err := errors.Join(c.stdin.Close(), c.cmd.Wait()); err != nil {
				t.Fatal(err, c.complaint())
			}
		}
		c.kill()
	}
}

// cachedKeys is how many keys fill a small block cache several times.
const cachedKeys = 1000

func cachedKey(i int) []byte { return fmt.Appendf(nil, "cached/%08d", i) }

// fillerChild fills a store, and closes it when its standard input ends.
func fillerChild(dir string) error {
	store, err := db.Open(dir, openingOptions())
	if err != nil {
		return err
	}
	for i := range 400 {
		if err := store.Put(batchKey(0, i%300, 0), batchValue(0, i, 0)); err != nil {
			return err
		}
	}
	for i := range cachedKeys {
		if err := store.Put(cachedKey(i), make([]byte, 400)); err != nil {
			return err
		}
	}
	if err := errors.Join(store.Flush(context.Background()), store.Merge([]byte("m"), []byte("x")), say("filled")); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return store.Close()
}

// copyOf makes a copy of a store for one cycle.
func (o *openings) copyOf(dir string) (string, error) {
	o.n++
	to := filepath.Join(o.root, fmt.Sprint(o.n))
	return to, os.CopyFS(to, os.DirFS(dir))
}

// use does a bit of everything, and leaves open what done closes, which is to
// be called after an error, too.
func use(store *db.DB) (done func() error, err error) {
	var closes []func() error
	opened := func(close func() error, e error) bool {
		if e == nil {
			closes = append(closes, close)
		}
		err = errors.Join(err, e)
		return e == nil
	}
	for i := range 30 {
		err = errors.Join(err, store.Put(batchKey(1, i, 0), batchValue(1, i, 0)), store.Delete(batchKey(0, i, 0)))
	}
	snapshot, e := store.Snapshot()
	opened(func() error { return snapshot.Close() }, e)
	feed, e := store.Subscribe(db.FeedOptions{})
	opened(func() error { return feed.Close() }, e)
	seq, e := store.Sequence([]byte("sequence"), 10)
	if opened(func() error { return seq.Close() }, e) {
		_, e = seq.Next()
		err = errors.Join(err, e)
	}
	cursor, e := store.NewCursor(db.All())
	if opened(func() error { return cursor.Close() }, e) && !cursor.First() {
		err = errors.Join(err, fmt.Errorf("a cursor finds nothing: %w", cursor.Err()))
	}
	tx, e := store.Begin(db.TxOptions{})
	if opened(func() error { tx.Discard(); return nil }, e) {
		err = errors.Join(err, tx.Put([]byte("in a transaction"), nil))
	}
	next, stop := iter.Pull2(store.Scan(db.All()))
	_, e, ok := next()
	opened(func() error { stop(); return nil }, nil)
	if !ok || e != nil {
		err = errors.Join(err, fmt.Errorf("a scan finds nothing: %w", e))
	}
	return func() error {
		var errs []error
		for _, f := range closes {
			errs = append(errs, f())
		}
		return errors.Join(errs...)
	}, err
}

// leaveOpen closes a store before, or after, all that was opened on it.
func (o *openings) leaveOpen(r *rand.Rand) (opened bool, err error) {
	store, err := db.Open(o.whole, openingOptions())
	if err != nil {
		return false, err
	}
	done, err := use(store)
	if err != nil {
		return true, errors.Join(err, done(), store.Close())
	}
	if r.IntN(3) == 0 {
		return true, errors.Join(done(), store.Close())
	}
	err = store.Close()
	if err := done(); err != nil && !errors.Is(err, db.ErrClosed) {
		return true, err
	}
	if err := store.Put(nil, nil); !errors.Is(err, db.ErrClosed) {
		return true, fmt.Errorf("a write to a closed store: %v", err)
	}
	return true, err
}

// recovered opens a store that was not closed.
func (o *openings) recovered(*rand.Rand) (opened bool, err error) {
	dir, err := o.copyOf(o.dirty)
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	store, err := db.Open(dir, openingOptions())
	if err != nil {
		return false, err
	}
	err = want(store, []byte("m"), []byte("x"))
	err = errors.Join(err, store.Checkpoint(context.Background(), dir+"-checkpoint"), store.Close())
	return true, errors.Join(err, os.RemoveAll(dir+"-checkpoint"))
}

// readOnly opens a store twice, with a block cache that has to choose.
func (o *openings) readOnly(*rand.Rand) (opened bool, err error) {
	opts := openingOptions()
	opts.ReadOnly = true
	opts.MemoryMax, opts.MemtableBytes = 64<<10, 1<<10
	a, err := db.Open(o.whole, opts)
	if err != nil {
		return false, err
	}
	b, err := db.Open(o.whole, opts)
	if err == nil {
		for i := 0; i < cachedKeys && err == nil; i += 7 {
			err = want(b, cachedKey(i), make([]byte, 400))
		}
		_, e := b.NewCursor(db.All()) // left open
		err = errors.Join(err, e)
		err = errors.Join(err, b.Close())
	}
	err = errors.Join(err, want(a, []byte("m"), []byte("x")), a.Close())
	return true, err
}

func (o *openings) locked(*rand.Rand) (opened bool, err error) {
	store, err := db.Open(o.whole, openingOptions())
	if err != nil {
		return false, err
	}
	for _, readOnly := range []bool{false, true} {
		opts := openingOptions()
		opts.ReadOnly = readOnly
		if _, e := db.Open(o.whole, opts); !errors.Is(e, db.ErrLocked) {
			err = errors.Join(err, fmt.Errorf("a second opener got %v", e))
		}
	}
	return false, errors.Join(err, store.Close())
}

// spoil opens a store one of whose files was spoiled. It is told so now, or
// later, or has not lost anything. The lock is free afterwards.
func (o *openings) spoil(r *rand.Rand, how func(path string) error) (opened bool, err error) {
	from := o.whole
	if r.IntN(2) == 0 {
		from = o.dirty
	}
	dir, err := o.copyOf(from)
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		return false, err
	}
	if err := how(files[r.IntN(len(files))]); err != nil {
		return false, err
	}
	opts := openingOptions()
	opts.ReadOnly = r.IntN(4) == 0
	for range 2 { // the second finds it as the first has left it, unlocked
		store, err := db.Open(dir, opts)
		if err != nil {
			if errors.Is(err, db.ErrLocked) {
				return false, err
			}
			continue
		}
		opened = true
		for item, err := range store.Scan(db.All()) {
			if err != nil {
				break
			}
			_, _ = item.Value()
		}
		_ = store.Compact(context.Background(), db.All())
		_ = store.Close()
	}
	return opened, nil
}

func (o *openings) damaged(r *rand.Rand) (opened bool, err error) {
	return o.spoil(r, func(path string) error {
		data, err := os.ReadFile(path)
		if err != nil || len(data) == 0 {
			return err
		}
		switch r.IntN(3) {
		case 0:
			data[r.IntN(len(data))] ^= byte(1 << r.IntN(8))
		case 1:
			data = data[:r.IntN(len(data))]
		case 2:
			clear(data[r.IntN(len(data)):])
		}
		return os.WriteFile(path, data, 0o644)
	})
}

func (o *openings) missing(r *rand.Rand) (opened bool, err error) { return o.spoil(r, os.Remove) }

func (o *openings) foreign(*rand.Rand) (opened bool, err error) {
	opts := openingOptions()
	opts.Merge = db.Counter()
	_, err = db.Open(o.whole, opts)
	if !errors.Is(err, db.ErrMergeOperator) {
		return false, fmt.Errorf("with another merge operator: %w", err)
	}
	return false, nil
}

// noStore opens what is not there, is no directory, or is asked for wrongly.
func (o *openings) noStore(*rand.Rand) (opened bool, err error) {
	missing, file := filepath.Join(o.root, "none"), filepath.Join(o.root, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		return false, err
	}
	var errs []error
	refused := func(dir string, change func(*db.Options), want error) {
		opts := openingOptions()
		change(opts)
		_, err := db.Open(dir, opts)
		if err == nil || want != nil && !errors.Is(err, want) {
			errs = append(errs, fmt.Errorf("open %s: %v, want %v", dir, err, want))
		}
	}
	refused(missing, func(o *db.Options) { o.MustExist = true }, fs.ErrNotExist)
	refused(missing, func(o *db.Options) { o.ReadOnly = true }, fs.ErrNotExist)
	refused(file, func(*db.Options) {}, nil)
	refused(o.whole, func(o *db.Options) { o.MemoryMax = 1 }, nil)
	if _, err := os.Stat(missing); !errors.Is(err, fs.ErrNotExist) {
		errs = append(errs, fmt.Errorf("the store that was not there: %v", err))
	}
	return false, errors.Join(errs...)
}

// faulty lets an operation on the file system fail, while the store is opened,
// used or closed, or all from then on.
func (o *openings) faulty(r *rand.Rand) (opened bool, err error) {
	dir, err := o.copyOf(o.dirty)
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(dir)
	failure := []error{syscall.EIO, syscall.ENOSPC, syscall.EMFILE}[r.IntN(3)]
	opts := openingOptions()
	opts.FS = vfs.NewFaulty(vfs.OS(), vfs.FailNth(1+r.Int64N(200), vfs.AnyOp, failure, r.IntN(2) == 0))
	opts.ReadOnly = r.IntN(8) == 0
	store, err := db.Open(dir, opts)
	if err == nil {
		opened = true
		done, _ := use(store)
		_ = store.Close()
		_ = done()
	} else if errors.Is(err, db.ErrLocked) {
		return false, err
	}
	// Nothing was lost, nor is it locked.
	store, err = db.Open(dir, openingOptions())
	if err != nil {
		return opened, err
	}
	return opened, errors.Join(want(store, []byte("m"), []byte("x")), store.Close())
}

// closedAtWork closes a store under readers and writers.
func (o *openings) closedAtWork(r *rand.Rand) (opened bool, err error) {
	store, err := db.Open(o.whole, openingOptions())
	if err != nil {
		return false, err
	}
	works := []func(i int) error{
		func(i int) error { return store.Put(batchKey(2, i%50, 0), batchValue(2, i, 0)) },
		func(i int) error {
			return store.Update(context.Background(), func(tx *db.Tx) error { return tx.Put(batchKey(3, i%50, 0), batchValue(3, i, 0)) })
		},
		func(int) error {
			for item, err := range store.Scan(db.All()) {
				if err != nil {
					return err
				}
				if _, err := item.Value(); err != nil {
					return err
				}
			}
			return nil
		},
		func(int) error { return store.Compact(context.Background(), db.All()) },
		func(int) error {
			feed, err := store.Subscribe(db.FeedOptions{})
			if err == nil {
				_, err = feed.Next(context.Background())
			}
			return err // and not closed
		},
	}
	var wg sync.WaitGroup
	errs := make([]error, len(works))
	var ready sync.WaitGroup
	for w, work := range works {
		ready.Add(1)
		wg.Go(func() {
			for i := 0; errs[w] == nil; i++ {
				if errs[w] = work(i); i == 0 {
					ready.Done()
				}
			}
		})
	}
	ready.Wait()
	err = store.Close()
	wg.Wait()
	for _, e := range errs {
		if !errors.Is(e, db.ErrClosed) {
			err = errors.Join(err, e)
		}
	}
	return true, err
}
