package damage

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// depth is how much of a damaged store is tried.
type depth int

const (
	looks   depth = iota // open for reading only, read
	follows              // open, read a feed
	opens                // open, read, open again
	churns               // and rewrite everything
)

// checker runs cases one after the other.
type checker struct {
	clones map[*Store]*vfs.Mem // undamaged copies, for cases that leave no trace
}

// run damages a copy of s, checks it, and says what a user sees.
func (k *checker) run(s *Store, c *Case, d depth, salt uint64) ([]string, error) {
	fsys, reuse := k.clones[s], d == looks && c.rewritesOnly(s)
	if !reuse || fsys == nil {
		fsys = s.FS.KillClone()
	}
	if reuse {
		k.clones[s] = fsys
	}
	if err := c.apply(fsys); err != nil {
		return nil, err
	}
	t := &trial{s: s, c: c, fs: fsys, depth: d, salt: salt, lowest: s.lowest(c)}
	fsys.SetHook(c.readHook(d == looks, t.wrote))
	err := t.run()
	fsys.SetHook(nil)
	if n := fsys.OpenHandles(); n > 0 && err == nil {
		err = fmt.Errorf("%d handles are open at the end", n)
	}
	if err != nil {
		delete(k.clones, s)
		return nil, fmt.Errorf("%s store, %s, depth %d: %w", s.Name, c.Name, d, err)
	}
	if reuse {
		err = c.undo(s, fsys)
	}
	return t.out.words(c.system()), err
}

// trial is one damaged store being checked.
type trial struct {
	s      *Store
	c      *Case
	fs     *vfs.Mem
	depth  depth
	salt   uint64
	lowest int // the oldest of s.States that is allowed
	out    Outcome

	mu     sync.Mutex
	writes []vfs.Op // to a store that is open for reading
	events []db.Event
}

func (t *trial) wrote(op vfs.Op) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.writes = append(t.writes, op)
}

func (t *trial) event(e db.Event) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events = append(t.events, e)
}

// open opens the store as the trial asks for.
func (t *trial) open() (*db.DB, error) {
	opts := t.s.options(t.fs)
	opts.ReadOnly = t.depth == looks
	opts.Events = t.event
	if t.salt&8 != 0 {
		opts.FeedBytes = 0
	}
	return db.Open(dir, &opts)
}

// run opens and checks the store.
func (t *trial) run() error {
	store, err := t.open()
	if err != nil {
		if class(err, t.c.system()) == "" {
			return fmt.Errorf("open: %w", err)
		}
		t.out.Open = err
		return errors.Join(t.c.names(err), t.untouched())
	}
	if t.depth == follows {
		t.out.State = len(t.s.States) - 1
	} else {
		err = t.find(store)
	}
	if err == nil && t.depth != looks {
		err = t.feed(store)
	}
	if err == nil && t.depth == churns {
		err = t.churn(store)
	}
	if cerr := store.Close(); cerr != nil && class(cerr, t.c.system()) == "" && err == nil {
		err = fmt.Errorf("close: %w", cerr)
	}
	if err != nil {
		return err
	}
	if err := t.judgeEvents(); err != nil {
		return err
	}
	switch t.depth {
	case looks:
		return t.untouched()
	case follows:
		return nil
	}
	return t.again()
}

// untouched checks that nothing was written.
func (t *trial) untouched() error {
	if len(t.writes) > 0 {
		return fmt.Errorf("a store that is only read was changed: %v", t.writes[0])
	}
	if t.depth == looks || t.c.system() {
		return nil
	}
	after, err := contents(t.fs, dir)
	if err != nil {
		return err
	}
	for _, f := range t.s.Files {
		want, damaged := t.c.Files[f.Name]
		if !damaged {
			want = f.Data
		}
		if f.Role != roleLock && string(after[f.Name]) != string(want) {
			return fmt.Errorf("a store that was refused was changed: %s", f.Name)
		}
	}
	return nil
}

// mayLose are the keys that may be lost: those that need what is damaged.
func (t *trial) mayLose() map[string]bool {
	c := t.c
	switch {
	case len(c.Files) > 1:
		return nil
	case c.extra(t.s), c.Target.Role == roleLock, c.Target.Role == roleRetained:
		return map[string]bool{}
	}
	return c.Target.Needs
}

// extra reports whether the case only adds something.
func (c *Case) extra(s *Store) bool {
	for name := range c.Files {
		if s.byName[name] != nil {
			return false
		}
	}
	return c.Unreadable == "" && s.byName[c.Dir] == nil
}

// find finds out which of the allowed states the store holds: the newest that
// nothing contradicts.
func (t *trial) find(store *db.DB) error {
	var errs []error
	ks, err := t.s.side(store)
	if err != nil {
		return err
	}
	for i := len(t.s.States) - 1; i >= t.lowest; i-- {
		r := t.reading(t.mayLose())
		err := r.compare(store, ks, t.s.States[i])
		if err == nil {
			t.out.State, t.out.Lost, t.out.Reads = i, r.lost, r.reads
			return nil
		}
		errs = append(errs, fmt.Errorf("not state %d: %w", i, err))
	}
	return errors.Join(errs...)
}

func (t *trial) reading(mayLose map[string]bool) *reading {
	return &reading{c: t.c, store: t.s, mayLose: mayLose, few: t.depth != churns, salt: t.salt}
}

// judgeEvents looks at what was reported.
func (t *trial) judgeEvents() error {
	for _, e := range t.events {
		switch e := e.(type) {
		case db.LogCut:
			t.out.Cuts = append(t.out.Cuts, e)
		case db.Damage:
			t.out.Bad = append(t.out.Bad, e)
		case db.BackgroundError:
			return fmt.Errorf("the store has failed: %w", e.Err)
		}
	}
	newest := len(t.s.States) - 1
	for _, cut := range t.out.Cuts {
		if f := t.s.byName[cut.File]; f == nil || f.Role == roleRetained {
			return fmt.Errorf("a log was cut that is none: %+v", cut)
		}
	}
	t.out.Gone = t.out.State < newest && len(t.out.Cuts) == 0
	if t.out.Gone && !t.s.endsClean(t.c) {
		return fmt.Errorf("%d commits are gone and nothing was reported", newest-t.out.State)
	}
	return nil
}

// again opens the store once more: what could be read can still be.
func (t *trial) again() error {
	store, err := t.open()
	if err != nil {
		return fmt.Errorf("open for the second time: %w", err)
	}
	ks, err := t.s.side(store)
	if err == nil {
		err = t.reading(t.out.Lost).compare(store, ks, t.s.States[t.out.State])
	}
	if cerr := store.Close(); cerr != nil && class(cerr, t.c.system()) == "" {
		err = errors.Join(err, cerr)
	}
	if err != nil {
		return fmt.Errorf("after opening again: %w", err)
	}
	return nil
}
