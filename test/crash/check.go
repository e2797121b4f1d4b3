package crash

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// Check says how thoroughly an image is checked.
type Check struct {
	Use      bool // write to the store, half of the time, and open it again
	ReadOnly bool // open it read-only first
	Full     bool // open it on a full disk first
	Again    int  // crash images to take of the recovery itself
	Bubble   bool // it runs in a bubble of testing/synctest, whose time is exact
	Seed     uint64

	Held func(commits int) // told how many commits the image holds; may be nil
}

// Run opens the image and compares what it holds with the history. The image is
// not changed. again is how many images of the recovery were checked too.
func (c Check) Run(h *History, img *Image, opts db.Options) (again int, err error) {
	at := img.at()
	if c.ReadOnly {
		if err := img.readOnly(h, opts, at); err != nil {
			return 0, fmt.Errorf("opened read-only: %w", err)
		}
	}
	if c.Full {
		resume := resumeBusy
		if c.Bubble {
			resume = resumeMax
		}
		if err := img.full(h, opts, at, resume); err != nil {
			return 0, fmt.Errorf("on a full disk: %w", err)
		}
	}
	fs := img.FS.KillClone()
	fs.SetCapacity(-1)
	w := &Workload{Opts: opts, History: NewHistory(Empty(), nil), clock: at, draws: draws{rand: rand.New(rand.NewPCG(c.Seed, 4))}}
	w.Opts.FS, w.Opts.Clock = fs, at.Now
	if err := w.Open(); err != nil {
		return 0, err
	}
	n, held, spaces, err := match(w.Store, h, img.span(), at.Nanos())
	if err != nil {
		return 0, errors.Join(err, w.Store.Close())
	}
	if c.Held != nil {
		c.Held(n)
	}
	if w.rand.IntN(2) == 0 {
		if err := h.resume(w.rand, w.Store, n, spaces, at.Nanos()); err != nil {
			return 0, errors.Join(err, w.Store.Close())
		}
	}
	w.History = NewHistory(held, spaces)
	if c.Use {
		err = w.use(at.Nanos())
	}
	if err = errors.Join(err, w.Close()); err != nil {
		return 0, fmt.Errorf("store recovered to commit %d: %w", n, err)
	}
	if open := fs.OpenHandles(); open != 0 {
		return 0, fmt.Errorf("%d handles open after Close", open)
	}
	for dir, span := range img.Points {
		if !h.firstSight(img, dir, span) {
			continue
		}
		if err := img.checkpoint(h, opts, at, dir, span); err != nil {
			return 0, fmt.Errorf("checkpoint %s: %w", dir, err)
		}
	}
	if c.Again > 0 {
		return c.again(h, img, n, spaces, opts)
	}
	return 0, nil
}

// at is a clock that shows the time of the image.
func (i *Image) at() *Clock {
	c := new(Clock)
	c.nanos.Store(i.Now)
	return c
}

// span is what the image may hold.
func (i *Image) span() Span { return Span{Lo: i.Lo, Hi: i.Hi, failed: i.Failed, spaces: i.Spaces} }

// use writes to a recovered store, or does not, closes, opens and compares it.
func (w *Workload) use(now int64) error {
	w.writes = 1 << 30 // values that there have not been yet
	for i := range w.rand.IntN(2) * 4 {
		if err := w.Commit(1+i*2, i == 2); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if i == 1 {
			if err := w.change(); err != nil {
				return err
			}
		}
	}
	if err := w.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if err := w.Open(); err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	n := w.History.Begun()
	_, _, _, err := match(w.Store, w.History, Span{Lo: n, Hi: n, spaces: w.History.MaySpaces()}, now)
	return err
}

// readOnly opens the image read-only and sees that nothing is changed.
func (i *Image) readOnly(h *History, opts db.Options, at *Clock) error {
	mem := i.FS.KillClone()
	var changed error
	mem.SetHook(func(op vfs.Op) error {
		if op.Kind.Mutates() && op.Kind != vfs.OpLock {
			changed = fmt.Errorf("a read-only store does %v %s", op.Kind, op.Path)
		}
		return nil
	})
	opts.FS, opts.Clock, opts.ReadOnly = mem, at.Now, true
	store, err := db.Open(Dir, &opts)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) && i.Lo == 0 {
			return nil // not created yet
		}
		return err
	}
	_, _, _, err = match(store, h, i.span(), at.Nanos())
	return errors.Join(err, changed, store.Close())
}

// full opens the image where there is not one byte of room. What it holds can
// be read, a write is refused, and writes succeed soon, within resume, once there
// is room.
func (i *Image) full(h *History, opts db.Options, at *Clock, resume time.Duration) error {
	mem := i.FS.KillClone()
	mem.SetCapacity(0)
	opts.FS, opts.Clock = mem, at.Now
	store, err := db.Open(Dir, &opts)
	if err != nil {
		if _, missing := mem.Stat(Dir + "/CURRENT"); missing != nil {
			return nil // a store is not created on a full disk
		}
		return err
	}
	_, s, spaces, err := match(store, h, i.span(), at.Nanos())
	if err == nil {
		if e := store.Put([]byte("more"), make([]byte, 8<<10)); !errors.Is(e, db.ErrDiskFull) {
			err = fmt.Errorf("a write gave %v", e)
		}
	}
	mem.SetCapacity(-1)
	if err == nil {
		err = eventually(resume, func() error { return store.Put([]byte("more"), []byte("+")) })
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return err
	}
	if store, err = db.Open(Dir, &opts); err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	after := NewHistory(s.After([]Write{{Op: 'p', Key: "more", Value: []byte("+")}}, spaces, at.Nanos()), spaces)
	_, _, _, err = match(store, after, Span{spaces: after.MaySpaces()}, at.Nanos())
	return errors.Join(err, store.Close())
}

// How long a store may take until it writes again once a full disk has got room:
// what it promises, and on a machine that may have other things to do.
const (
	resumeMax  = 5 * time.Second
	resumeBusy = 2 * time.Minute
)

// Eventually calls write until it succeeds or fails for good, for as long as a
// store may take after a full disk got room: 5 seconds, of a bubble of
// testing/synctest. Meanwhile its memtables may be full, and the error is that of
// the flush that has not been tried again.
func Eventually(write func() error) error { return eventually(resumeMax, write) }

func eventually(most time.Duration, write func() error) error {
	start := time.Now()
	for {
		err := write()
		if err == nil || errors.Is(err, db.ErrReadOnly) || time.Since(start) > most {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// checkpoint opens a checkpoint, if it is there; it must be there if it was
// done.
func (i *Image) checkpoint(h *History, opts db.Options, at *Clock, dir string, span Span) error {
	mem := i.FS.KillClone()
	if !span.Done {
		if _, err := mem.Stat(dir + "/CURRENT"); err != nil {
			return nil
		}
	}
	opts.FS, opts.Clock, opts.MustExist = mem, at.Now, true
	store, err := db.Open(dir, &opts)
	if err != nil {
		return err
	}
	_, _, _, err = match(store, h, span, at.Nanos())
	return errors.Join(err, store.Close())
}

// again crashes once more while the image is recovered, and while the recovered
// store works. What the first recovery has found, n commits, must be found
// again. Of what was not durable when the process died, a power loss before
// the end of the recovery may still take away.
func (c Check) again(h *History, img *Image, n int, spaces Spaces, opts db.Options) (int, error) {
	mem := img.FS.KillClone()
	at := img.at()
	w := &Workload{Opts: opts, History: h.Cut(img, min(img.Synced, n), n, spaces), clock: at, draws: draws{rand: rand.New(rand.NewPCG(c.Seed, 5))}}
	w.Opts.FS, w.Opts.Clock, w.writes = mem, at.Now, 1<<30
	camera := &Camera{FS: mem, Witness: w.History, Clock: at, Random: 2, ImagesMax: 400}
	camera.Start(c.Seed)
	err := w.Open()
	for i, n := 0, w.rand.IntN(2)*6; err == nil && i < n; i++ {
		if err = w.Commit(1+i*3, i%3 == 2); err == nil && i%4 == 1 {
			err = w.change()
		}
	}
	if w.Store != nil {
		err = errors.Join(err, w.Close())
	}
	images := camera.Stop()
	if err != nil {
		return 0, fmt.Errorf("second recovery: %w", err)
	}
	// As many of them as are wanted, from everywhere.
	w.rand.Shuffle(len(images), func(i, j int) { images[i], images[j] = images[j], images[i] })
	images = images[:min(c.Again, len(images))]
	for _, i := range images {
		if _, err := (Check{}).Run(w.History, i, opts); err != nil {
			return 0, fmt.Errorf("crash while recovering or after: %v\n%w", i, err)
		}
	}
	return len(images), nil
}

// match finds the state that the store holds among those of a span, in which
// keyspaces, and after how many commits it is.
func match(store *db.DB, h *History, span Span, now int64) (int, *State, Spaces, error) {
	got, err := ReadAll(store)
	if err != nil {
		return 0, nil, nil, err
	}
	var first error
	for _, spaces := range slices.Backward(span.spaces) {
		for n := span.Hi; n >= span.Lo; n-- {
			e := Same(got, h.State(n).Items(spaces, now))
			if e == nil {
				return n, h.State(n), spaces, cross(store, got)
			}
			if first == nil {
				first = e
			}
		}
		for _, s := range span.failed {
			if Same(got, s.Items(spaces, now)) == nil {
				return span.Hi, s, spaces, cross(store, got)
			}
		}
	}
	for _, spaces := range span.spaces {
		for n := h.Begun(); n >= 0; n-- {
			if Same(got, h.State(n).Items(spaces, now)) == nil {
				return 0, nil, nil, fmt.Errorf("the store holds %d commits, want %d to %d", n, span.Lo, span.Hi)
			}
		}
	}
	return 0, nil, nil, fmt.Errorf("the store holds no prefix of %d to %d commits in the keyspaces %v; the last: %w",
		span.Lo, span.Hi, span.spaces, first)
}

// keyspace opens a keyspace that there is; "" is the default one.
func keyspace(store *db.DB, name string) (*db.Keyspace, error) {
	if name == "" {
		return store.Default(), nil
	}
	ks, err := store.Keyspace(name, &db.KeyspaceOptions{Merge: db.Append(), MustExist: true})
	if err != nil {
		return nil, fmt.Errorf("keyspace %q: %w", name, err)
	}
	return ks, nil
}

// ReadAll scans all keyspaces of the store.
func ReadAll(store *db.DB) ([]Item, error) {
	var got []Item
	for _, name := range append([]string{""}, store.Keyspaces()...) {
		ks, err := keyspace(store, name)
		if err != nil {
			return nil, err
		}
		if got, err = scanAll(ks, name, got); err != nil {
			return nil, err
		}
	}
	return got, nil
}

// scanAll appends the items of a keyspace.
func scanAll(from db.Reader, name string, got []Item) ([]Item, error) {
	if name != "" {
		got = append(got, Item{Space: name})
	}
	for it, err := range from.Scan(db.All()) {
		if err != nil {
			return nil, fmt.Errorf("scan of %q: %w", name, err)
		}
		v, err := it.Value()
		if err != nil {
			return nil, fmt.Errorf("value of %q/%q: %w", name, it.Key(), err)
		}
		got = append(got, Item{name, string(it.Key()), bytes.Clone(v)})
	}
	return got, nil
}

// Same compares items.
func Same(got, want []Item) error {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got) || i < len(want) && compareItems(want[i], got[i]) < 0:
			return fmt.Errorf("%v is missing, want %s", want[i], brief(want[i].Value))
		case i >= len(want) || compareItems(got[i], want[i]) < 0:
			return fmt.Errorf("%v is too much, with %s", got[i], brief(got[i].Value))
		case !bytes.Equal(got[i].Value, want[i].Value):
			return fmt.Errorf("%v holds %s, want %s", got[i], brief(got[i].Value), brief(want[i].Value))
		}
	}
	return nil
}

func brief(b []byte) string {
	if len(b) <= 48 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q... (%d bytes)", b[:48], len(b))
}

// cross reads the store in the other ways and compares with the scan.
func cross(store *db.DB, items []Item) error {
	for len(items) > 0 {
		name := items[0].Space
		n := 0
		for n < len(items) && items[n].Space == name {
			n++
		}
		ks, err := keyspace(store, name)
		if err != nil {
			return err
		}
		of := items[:n]
		if name != "" {
			of = of[1:]
		}
		if err := crossSpace(ks, of); err != nil {
			return fmt.Errorf("keyspace %q: %w", name, err)
		}
		items = items[n:]
	}
	return nil
}

func crossSpace(ks *db.Keyspace, items []Item) error {
	i := len(items)
	for it, err := range ks.Scan(db.All().Backward()) {
		if err != nil {
			return fmt.Errorf("scan backward: %w", err)
		}
		if i--; i < 0 || string(it.Key()) != items[i].Key {
			return fmt.Errorf("scan backward: %q where the scan forward has item %d of %d", it.Key(), i, len(items))
		}
		if v, err := it.Value(); err != nil || !bytes.Equal(v, items[i].Value) {
			return fmt.Errorf("scan backward: %q holds %s, %v", it.Key(), brief(v), err)
		}
	}
	if i != 0 {
		return fmt.Errorf("scan backward: %d keys are missing", i)
	}
	for k := range keys {
		key := fmt.Sprintf("key/%03d", k)
		at, ok := slices.BinarySearchFunc(items, key, func(i Item, k string) int { return strings.Compare(i.Key, k) })
		v, err := ks.Get([]byte(key))
		switch {
		case !ok && errors.Is(err, db.ErrNotFound):
		case ok && err == nil && bytes.Equal(v, items[at].Value):
		default:
			return fmt.Errorf("Get(%q) = %s, %v; the scan has it: %v", key, brief(v), err, ok)
		}
	}
	return nil
}

// Explain opens the image once more and says what it holds and what the store
// logs of it.
func (i *Image) Explain(opts db.Options) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v\noptions: %+v\n", i, opts)
	mem := i.FS.KillClone()
	if files, err := mem.List(Dir); err == nil {
		for _, f := range files {
			fmt.Fprintf(&b, "%s %d bytes\n", f.Name, f.Size)
		}
	}
	opts.FS, opts.Clock = mem, i.at().Now
	opts.Logger = slog.New(slog.NewTextHandler(&b, nil))
	opts.Events = nil
	store, err := db.Open(Dir, &opts)
	fmt.Fprintf(&b, "open: %v\n", err)
	if err == nil {
		time.Sleep(10 * time.Millisecond)
		fmt.Fprintf(&b, "close: %v\n", store.Close())
	}
	return b.String()
}
