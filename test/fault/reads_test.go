package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/test/crash"
	"github.com/cordwood-db/cordwood/vfs"
)

// reading is one way to read, which gives the right answer or an error.
type reading struct {
	name string
	read func(r *readers) error
}

// readers is a store that is read, and what is read from.
type readers struct {
	store *db.DB
	snap  *db.Snapshot
	after uint64 // a position of the feed
	want  []crash.Item
}

// errWrong says that a read gave a wrong answer, and no error.
var errWrong = errors.New("a read is wrong")

// of are the items of the default keyspace.
func (r *readers) of() (items []crash.Item) {
	for _, i := range r.want {
		if i.Space == "" {
			items = append(items, i)
		}
	}
	return items
}

// point reads some of the keys one by one, and some that are not there.
func (r *readers) point(get func(key []byte) ([]byte, error), from int) error {
	items := r.of()
	for i := from; i < len(items); i += 11 {
		got, err := get([]byte(items[i].Key))
		if errors.Is(err, db.ErrNotFound) || err == nil && !bytes.Equal(got, items[i].Value) {
			return fmt.Errorf("%w: Get(%s): %d bytes, %v", errWrong, items[i].Key, len(got), err)
		}
		if err != nil {
			return err
		}
		if got, err = get([]byte(items[i].Key + "+")); !errors.Is(err, db.ErrNotFound) {
			if err == nil {
				return fmt.Errorf("%w: Get(%s+): %q", errWrong, items[i].Key, got)
			}
			return err
		}
	}
	return nil
}

// walk reads all keys in order, or backward.
func (r *readers) walk(from db.Reader, rg db.Range, backward, values bool) error {
	items := r.of()
	if backward {
		items = slices.Clone(items)
		slices.Reverse(items)
		rg = rg.Backward()
	}
	i := 0
	for it, err := range from.Scan(rg) {
		if err != nil {
			return err
		}
		if i >= len(items) || string(it.Key()) != items[i].Key {
			return fmt.Errorf("%w: scan: %q at %d", errWrong, it.Key(), i)
		}
		if values {
			v, err := it.Value()
			if err != nil {
				return err
			}
			if !bytes.Equal(v, items[i].Value) {
				return fmt.Errorf("%w: scan: %q has %q", errWrong, it.Key(), v)
			}
		}
		i++
	}
	if i != len(items) {
		return fmt.Errorf("%w: scan: %d of %d keys", errWrong, i, len(items))
	}
	return nil
}

func (r *readers) multi() error {
	items := r.of()
	var keys [][]byte
	for i := 5; i < len(items); i += 7 {
		keys = append(keys, []byte(items[i].Key))
	}
	values, err := r.store.MultiGet(keys...)
	if err != nil {
		return err
	}
	for i, v := range values {
		if !bytes.Equal(v, items[5+7*i].Value) {
			return fmt.Errorf("%w: MultiGet: %q has %q", errWrong, keys[i], v)
		}
	}
	return nil
}

// seek moves a cursor about. An error ends it.
func (r *readers) seek() error {
	items := r.of()
	c, err := r.store.NewCursor(db.All())
	if err != nil {
		return err
	}
	at := func(ok bool, i int) error {
		if !ok {
			return cmpErr(c.Err(), fmt.Errorf("%w: the cursor finds no item %d", errWrong, i))
		}
		v, err := c.Value()
		switch {
		case err != nil:
			return err
		case string(c.Key()) != items[i].Key || !bytes.Equal(v, items[i].Value):
			return fmt.Errorf("%w: cursor: %q where %q is", errWrong, c.Key(), items[i].Key)
		}
		return nil
	}
	moves := func() error {
		for i := 3; i < len(items)-3; i += 17 {
			if err := at(c.SeekGE([]byte(items[i].Key)), i); err != nil {
				return err
			}
			if err := at(c.Next(), i+1); err != nil {
				return err
			}
			if err := at(c.Prev(), i); err != nil {
				return err
			}
			if err := at(c.SeekLT([]byte(items[i].Key)), i-1); err != nil {
				return err
			}
		}
		if err := at(c.Last(), len(items)-1); err != nil {
			return err
		}
		return at(c.First(), 0)
	}
	err = moves()
	if cerr := c.Close(); err == nil {
		err = cerr
	}
	return err
}

// cmpErr is the first that is not nil.
func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// page reads by pages, with the token of the one before.
func (r *readers) page() error {
	items, n := r.of(), 0
	var token []byte
	for {
		p, err := db.ReadPage(r.store, db.All(), token, 40)
		if err != nil {
			return err
		}
		for _, e := range p.Items {
			if n >= len(items) || string(e.Key) != items[n].Key || !bytes.Equal(e.Value, items[n].Value) {
				return fmt.Errorf("%w: page: %q at %d", errWrong, e.Key, n)
			}
			n++
		}
		if token = p.Next; token == nil {
			break
		}
	}
	if n != len(items) {
		return fmt.Errorf("%w: pages: %d of %d keys", errWrong, n, len(items))
	}
	return nil
}

// feed reads the last 20 commits from the log that is retained.
func (r *readers) feed() (err error) {
	f, err := r.store.Subscribe(db.FeedOptions{Resume: true, After: r.after})
	if err != nil {
		return err
	}
	defer func() { err = cmpErr(err, f.Close()) }()
	for i := 120; i < 140; i++ {
		ctx, cancel := context.WithTimeout(background, time.Second)
		b, err := f.Next(ctx)
		cancel()
		if err != nil {
			return err
		}
		value, err := b.Changes[0].Value()
		if err != nil {
			return err
		}
		if !bytes.Equal(b.Changes[0].Key, keyOf(i)) || !bytes.Equal(value, valueOf(i)) {
			return fmt.Errorf("%w: feed: %q", errWrong, b.Changes[0].Key)
		}
	}
	return nil
}

// readings are all ways to read.
var readings = []reading{
	{"Get", func(r *readers) error { return r.point(r.store.Get, 0) }},
	{"Get of a snapshot", func(r *readers) error { return r.point(r.snap.Get, 3) }},
	{"Get of a transaction", func(r *readers) error {
		return r.store.View(func(tx *db.Tx) error { return r.point(tx.Get, 6) })
	}},
	{"MultiGet", (*readers).multi},
	{"Scan", func(r *readers) error { return r.walk(r.store, db.All(), false, true) }},
	{"Scan backward", func(r *readers) error { return r.walk(r.store, db.All(), true, true) }},
	{"Scan of keys", func(r *readers) error { return r.walk(r.store, db.All().KeysOnly(), false, false) }},
	{"Scan of a snapshot", func(r *readers) error { return r.walk(r.snap, db.All(), false, true) }},
	{"Cursor", (*readers).seek},
	{"pages", (*readers).page},
	{"Feed", (*readers).feed},
}

// readsFile reports whether an operation is one that a read needs. What changes a
// file meanwhile, or closes one that was written, is not the reads' doing, and may
// end in a store that is read-only.
func readsFile(kind vfs.OpKind) bool {
	return !kind.Mutates() && kind != vfs.OpFlush && kind != vfs.OpClose
}

// TestReadThatFailsFailsAloneAndIsRightTheNextTime fails every operation of a
// series of reads. Only one of them may notice a fault that comes once.
func TestReadThatFailsFailsAloneAndIsRightTheNextTime(t *testing.T) {
	image := images(t)["closed"]
	want := holds(t, image)
	eachOperation(t, image, func(s *strike) error { return s.read(want) })
}

func (s *strike) read(want []crash.Item) (err error) {
	o := s.options()
	o.MemoryMax = 64 << 10 // reads come from the files
	store, err := db.Open(crash.Dir, &o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.closed(store, true)) }()
	r := &readers{store: store, want: want}
	if err := store.Put(keyOf(0), valueOf(0)); err != nil { // makes the log, which a feed needs
		return err
	}
	if r.snap, err = store.Snapshot(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.snap.Close()) }()
	r.after = r.snap.Seq() - 21
	s.only = readsFile
	s.armed.Store(true)
	failed := 0
	for _, way := range readings {
		err := way.read(r)
		if err == nil {
			continue
		}
		if err := s.typedRead(err); err != nil {
			return fmt.Errorf("%s: %w", way.name, err)
		}
		if failed++; s.sticky {
			continue
		}
		if failed > 1 {
			return fmt.Errorf("%s: fails, as another one did before: %w", way.name, err)
		}
		if err := way.read(r); err != nil {
			return fmt.Errorf("%s: fails again: %w", way.name, err)
		}
	}
	s.disarm()
	for _, way := range readings {
		if err := way.read(r); err != nil {
			return fmt.Errorf("%s, when the fault was over: %w", way.name, err)
		}
	}
	if err := store.Put([]byte("key00000"), []byte("new")); err != nil {
		return fmt.Errorf("reads that failed make the store read-only: %w", err)
	}
	return nil
}

// typedRead is typed for reads, which do not hit upon a full disk.
func (s *strike) typedRead(err error) error {
	if errors.Is(err, db.ErrReadOnly) || errors.Is(err, errWrong) {
		return err
	}
	return s.typed(err)
}
