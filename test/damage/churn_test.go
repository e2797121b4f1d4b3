package damage

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// churn lets everything be rewritten and compares again, also as of before.
func (t *trial) churn(store *db.DB) error {
	want := t.s.States[t.out.State]
	ks, err := t.s.side(store)
	if err != nil {
		return err
	}
	snap, err := store.Snapshot()
	if err != nil {
		return err
	}
	err = t.checkpoint(store)
	var found error
	for _, job := range []struct {
		name string
		run  func() error
	}{
		{"Compact", func() error { return store.Compact(context.Background(), db.All()) }},
		{"Compact " + sideName, func() error { return ks.Compact(context.Background(), db.All()) }},
		{"CollectGarbage", func() error { return store.CollectGarbage(context.Background(), 0) }},
	} {
		jerr := job.run()
		if jerr != nil && class(jerr, t.c.system()) == "" {
			err = errors.Join(err, fmt.Errorf("%s: %w", job.name, jerr))
		}
		found = errors.Join(found, jerr)
	}
	after := t.reading(t.out.Lost)
	if rerr := after.compare(store, ks, want); rerr != nil {
		err = errors.Join(err, fmt.Errorf("after Compact and CollectGarbage: %w", rerr))
	}
	if rerr := t.reading(t.out.Lost).compare(snap, snap.In(ks), want); rerr != nil {
		err = errors.Join(err, fmt.Errorf("a snapshot after Compact and CollectGarbage: %w", rerr))
	}
	return errors.Join(err, snap.Close(), t.kept(after.lost), t.reported(found))
}

// kept checks that a file has not been removed because of which reads fail.
// (Where only an index is damaged, garbage collection saves all records.)
func (t *trial) kept(lost map[string]bool) error {
	f := t.c.Target
	want, ok := t.c.Files[f.Name]
	if len(lost) == 0 || f.Needs == nil || !ok || want == nil || len(t.c.Files) > 1 {
		return nil
	}
	got, err := readFile(t.fs, f.Name)
	if err != nil || string(got) != string(want) {
		return fmt.Errorf("reads fail because of %s, and it was changed or removed: %w", f.Name, err)
	}
	return nil
}

// reported checks that damage which stopped a job has been reported.
func (t *trial) reported(found error) error {
	if k := class(found, false); k != "C" && k != "M" || t.c.Target.Needs == nil {
		return nil // what another version wrote, or nobody may read, is not damaged
	}
	for range 6_000 { // events come from a goroutine of their own
		t.mu.Lock()
		for _, e := range t.events {
			if _, ok := e.(db.Damage); ok {
				t.mu.Unlock()
				return nil
			}
		}
		t.mu.Unlock()
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("no event tells of damage: %w", found)
}

// feedTime is long: whether a feed delivers is not a matter of time, but one
// that waits for what is not there would wait for ever.
const feedTime = time.Minute

// feed reads a change feed of what the log has.
func (t *trial) feed(store *db.DB) error {
	if t.s.Feed == nil || t.salt&8 != 0 {
		return nil
	}
	feed, err := store.Subscribe(db.FeedOptions{Resume: true, After: t.s.FeedAfter})
	if err == nil {
		err = errors.Join(t.deliveries(feed), feed.Close())
	}
	switch {
	case err == nil:
		return nil
	case class(err, t.c.system()) != "", errors.Is(err, db.ErrFeedBehind):
		t.out.Feed = true
		if t.c.extra(t.s) && class(err, true) != "S" || len(t.c.Files) == 1 && t.c.Target.Role == roleTable {
			return fmt.Errorf("feed: %w", err)
		}
		return nil
	}
	return fmt.Errorf("feed: %w", err)
}

// deliveries compares what a feed delivers.
func (t *trial) deliveries(feed *db.Feed) error {
	want := t.s.Feed[:len(t.s.Feed)-(len(t.s.States)-1-t.out.State)]
	for i := range want {
		ctx, cancel := context.WithTimeout(context.Background(), feedTime)
		batch, err := feed.Next(ctx)
		cancel()
		if err != nil {
			return err
		}
		w := &want[i]
		if len(batch.Changes) != 1 {
			return fmt.Errorf("commit %d has %d changes", i, len(batch.Changes))
		}
		c := &batch.Changes[0]
		if c.Kind != w.kind || string(c.Key) != w.key || string(c.End) != w.end || c.Keyspace.Name() != w.space {
			return fmt.Errorf("commit %d is %v %q in %q, want %+v", i, c.Kind, c.Key, c.Keyspace.Name(), w)
		}
		value, err := c.Value()
		if err != nil {
			if class(err, t.c.system()) == "" {
				return err
			}
			t.out.Feed = true // the rest can still be had
			continue
		}
		if string(value) != w.value {
			return fmt.Errorf("commit %d has the value %.40q, want %.40q", i, value, w.value)
		}
	}
	return nil
}

// checkpoint makes a checkpoint of the damaged store, which has what the store
// has: the same values, and the same damage.
func (t *trial) checkpoint(store *db.DB) error {
	const copied = "/copy"
	err := store.Checkpoint(context.Background(), copied)
	if err != nil {
		if class(err, t.c.system()) == "" {
			return fmt.Errorf("checkpoint: %w", err)
		}
		if _, lerr := t.fs.List(copied); !errors.Is(lerr, fs.ErrNotExist) {
			return fmt.Errorf("a failed checkpoint is there: %w", err)
		}
		return nil
	}
	opts := t.s.options(t.fs)
	opts.ReadOnly = true
	second, err := db.Open(copied, &opts)
	if err != nil {
		if class(err, t.c.system()) == "" || len(t.out.Lost) == 0 {
			return fmt.Errorf("open checkpoint: %w", err)
		}
		return nil
	}
	ks, err := t.s.side(second)
	if err == nil {
		err = t.reading(t.out.Lost).compare(second, ks, t.s.States[t.out.State])
	}
	if err := errors.Join(err, second.Close()); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	names, err := t.fs.List(copied)
	for _, f := range names {
		err = errors.Join(err, t.fs.Remove(filepath.Join(copied, f.Name)))
	}
	return errors.Join(err, t.fs.Remove(copied))
}
