package fault

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/test/crash"
	"github.com/cordwood-db/cordwood/vfs"
)

// found is what a store holds that was opened.
type found struct {
	crew   *crew
	spaces []string
	items  []crash.Item
	last   []*change // of each writer
	fails  []bool    // whether that is one that had failed
	lives  []int     // of each writer's keyspace
}

// find reads a store. The error is that of a read.
func (c *crew) find(store *db.DB) (*found, error) {
	items, err := crash.ReadAll(store)
	if err != nil {
		return nil, err
	}
	return &found{crew: c, spaces: store.Keyspaces(), items: items}, nil
}

// of are the items of a keyspace that belong to a writer.
func (f *found) of(w *writer, space string) (items []crash.Item) {
	for _, i := range f.items {
		if i.Space == space && strings.HasPrefix(i.Key, w.name()) {
			items = append(items, crash.Item{Key: i.Key, Value: i.Value})
		}
	}
	return items
}

// check compares it with the writers' histories. power: a power loss may have
// taken away the end of the order of commits.
func (f *found) check(power bool) error {
	for _, w := range f.crew.writers {
		if err := f.identify(w, power); err != nil {
			return err
		}
		if err := f.compare(w, power); err != nil {
			return err
		}
	}
	own := 0
	for _, w := range f.crew.writers {
		own += len(f.of(w, ""))
		if slices.Contains(f.spaces, w.space()) {
			own += 1 + len(f.of(w, w.space())) // the keyspace is an item itself
		}
	}
	if own != len(f.items) {
		return fmt.Errorf("%d items, of which %d are the writers'", len(f.items), own)
	}
	return f.order()
}

// identify finds the last commit of a writer.
func (f *found) identify(w *writer, power bool) error {
	number := 0
	if items := f.of(w, ""); len(items) > 0 && items[0].Key == w.marker() {
		n, err := strconv.Atoi(string(items[0].Value))
		if err != nil {
			return err
		}
		number = n
	}
	latest := w.acked[len(w.acked)-1]
	least := latest
	if power {
		least = w.leastDurable(f.crew.durable.Load())
	}
	for _, c := range w.failed {
		if c.number == number {
			f.last, f.fails = append(f.last, c), append(f.fails, true)
			return nil
		}
	}
	c := w.commitNumbered(number)
	if c == nil || c.number < least.number {
		return fmt.Errorf("writer %d: the store holds commit %d, want %d to %d", w.id, number, least.number, latest.number)
	}
	f.last, f.fails = append(f.last, c), append(f.fails, false)
	return nil
}

// leastDurable is the last commit that survives a power loss.
func (w *writer) leastDurable(tick int64) *change {
	least := w.acked[0]
	for _, c := range w.acked {
		if c.durable || c.ended < tick {
			least = c
		}
	}
	return least
}

// compare compares what there is of a writer with the state after its last
// commit.
func (f *found) compare(w *writer, power bool) error {
	c := f.last[len(f.last)-1]
	if err := crash.Same(f.of(w, ""), c.state.items(0)); err != nil {
		return fmt.Errorf("writer %d at commit %d: %w", w.id, c.number, err)
	}
	exists := slices.Contains(f.spaces, w.space())
	var first error
	lives := w.mayFind(power)
	for _, life := range lives {
		if exists != (life > 0) {
			continue
		}
		if !exists {
			f.lives = append(f.lives, 0)
			return nil
		}
		err := crash.Same(f.of(w, w.space()), c.state.items(life))
		if err == nil {
			f.lives = append(f.lives, life)
			return nil
		}
		first = err
	}
	if first == nil {
		first = fmt.Errorf("there is one: %v, which cannot be", exists)
	}
	return fmt.Errorf("keyspace of writer %d at commit %d, lives %d: %w", w.id, c.number, lives, first)
}

// mayFind are the lives of a writer's keyspace that may be found.
func (w *writer) mayFind(power bool) []int {
	lives := append([]int{w.life}, w.maybe...)
	if power && !w.crew.took.Load() {
		lives = append(lives, w.others...)
	}
	return lives
}

// order sees that what there is can be the beginning of the order of commits:
// whatever ended before one of them began is there too, and nothing that failed
// before one of them began.
func (f *found) order() error {
	began := int64(0) // of the newest that is there
	for _, c := range f.last {
		began = max(began, c.began)
	}
	for i, w := range f.crew.writers {
		if f.fails[i] && f.last[i].ended < began {
			return fmt.Errorf("writer %d: commit %d, which failed, shows below later ones", i, f.last[i].number)
		}
		for _, c := range w.acked {
			if c.number > f.last[i].number && c.ended < began {
				return fmt.Errorf("writer %d: commit %d is there, and %d is not, though a later one of another writer is", i, f.last[i].number, c.number)
			}
		}
	}
	return nil
}

// adopt goes on from what was found.
func (f *found) adopt() {
	defer f.crew.took.Store(false)
	for i, w := range f.crew.writers {
		w.mu.Lock()
		if f.fails[i] {
			w.history = append(w.history, f.last[i])
		}
		w.acked, w.failed = []*change{f.last[i]}, nil
		others := w.mayFind(true)
		w.life, w.maybe, w.others = f.lives[i], nil, others
		w.mu.Unlock()
	}
}

// image opens a file system as a crash has left it and looks at what it holds.
func (c *crew) image(name string, mem *vfs.Mem, power bool) error {
	opts := c.opts
	opts.FS = mem
	store, err := db.Open(crash.Dir, &opts)
	if err != nil {
		return fmt.Errorf("%s: open: %w", name, err)
	}
	f, err := c.find(store)
	if err == nil {
		err = f.check(power)
	}
	if err == nil && c.rand.IntN(4) == 0 {
		err = errors.Join(store.Put([]byte("more"), []byte(name)), store.Delete([]byte("more")))
	}
	if err = errors.Join(err, store.Close()); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if n := mem.OpenHandles(); n != 0 {
		return fmt.Errorf("%s: %d handles open after Close", name, n)
	}
	return nil
}

// images opens what the death of the process, or a power loss, would leave now.
// Nothing is written meanwhile.
func (c *crew) images() error {
	kill := c.mem.KillClone()
	none := c.mem.CrashClone(nil)
	some := c.mem.CrashClone(func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashChoice(c.rand.IntN(3)) })
	switch c.rand.IntN(3) {
	case 0:
		return c.image("kill", kill, false)
	case 1:
		return c.image("power loss", none, true)
	}
	return c.image("power loss, some of it kept", some, true)
}

// after opens what the run has left, and its checkpoints.
func (c *crew) after() error {
	if c.rand.IntN(2) == 0 {
		return errors.Join(c.image("closed", c.mem.KillClone(), false), c.checkpoints())
	}
	return c.image("closed, then a power loss", c.mem.CrashClone(nil), true)
}

// checkpoints opens those that were made.
func (c *crew) checkpoints() error {
	for _, p := range c.points {
		opts := c.opts
		opts.FS, opts.MustExist = c.mem.KillClone(), true
		store, err := db.Open(p.dir, &opts)
		if err != nil {
			return fmt.Errorf("checkpoint: %w", err)
		}
		f, err := c.find(store)
		if err == nil {
			err = f.checkpoint(p)
		}
		if err = errors.Join(err, store.Close()); err != nil {
			return fmt.Errorf("%s: %w", p.dir, err)
		}
	}
	return nil
}

// checkpoint compares it with the writers' histories: what was acknowledged
// before the checkpoint was asked for is in it, and nothing that began after.
func (f *found) checkpoint(p checkpoint) error {
	for _, w := range f.crew.writers {
		items := f.of(w, "")
		number := 0
		if len(items) > 0 && items[0].Key == w.marker() {
			var err error
			if number, err = strconv.Atoi(string(items[0].Value)); err != nil {
				return fmt.Errorf("the marker of writer %d: %w", w.id, err)
			}
		}
		c := w.commitNumbered(number)
		if c == nil || c.began > p.ended {
			return fmt.Errorf("writer %d at commit %d, which was not acknowledged by then", w.id, number)
		}
		for _, later := range w.history {
			if later.number > number && later.ended < p.began {
				return fmt.Errorf("writer %d at commit %d, though %d was acknowledged", w.id, number, later.number)
			}
		}
		if err := crash.Same(items, c.state.items(0)); err != nil {
			return fmt.Errorf("writer %d at commit %d: %w", w.id, number, err)
		}
	}
	return nil
}
