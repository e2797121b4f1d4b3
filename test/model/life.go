package model

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// checkAll compares the whole store, all its keyspaces, with a state.
func (r *run) checkAll(store *db.DB, want world) error {
	if names := store.Keyspaces(); !slices.Equal(names, r.names()) {
		return fmt.Errorf("keyspaces %q, want %q", names, r.names())
	}
	if err := checkSpace(store, want[0], r.now); err != nil {
		return err
	}
	for _, s := range r.spaces[1:] {
		ks, err := store.Keyspace(s.name, &db.KeyspaceOptions{Merge: s.op, MustExist: true})
		if err != nil {
			return err
		}
		if err := checkSpace(ks, want[s.id], r.now); err != nil {
			return fmt.Errorf("keyspace %d %q: %w", s.id, s.name, err)
		}
	}
	return nil
}

// checkSpace compares a whole keyspace with a state.
func checkSpace(from db.Reader, want state, now time.Time) error {
	items := want.items(nil, nil, false, now)
	i := 0
	for it, err := range from.Scan(db.All()) {
		if err != nil {
			return err
		}
		if i >= len(items) {
			return fmt.Errorf("%q is too much", it.Key())
		}
		if err := sameItem(it, items[i], false); err != nil {
			return err
		}
		i++
	}
	if i < len(items) {
		return fmt.Errorf("%d of %d keys, %q is missing", i, len(items), items[i].key)
	}
	for _, it := range items {
		got, err := from.Get([]byte(it.key))
		if err != nil || !bytes.Equal(got, it.value) {
			return fmt.Errorf("Get(%q) = %s, %v; want %s", it.key, brief(got), err, brief(it.value))
		}
	}
	return nil
}

// closeHeld closes every snapshot and cursor, and discards every transaction.
func (r *run) closeHeld() error {
	var errs []error
	for _, h := range r.txs {
		h.tx.Discard()
	}
	r.txs, r.changes = nil, nil
	for _, h := range r.sequences {
		if r.rand.IntN(2) == 0 { // else its rest is lost
			errs = append(errs, h.seq.Close())
		}
	}
	r.sequences = nil
	for len(r.feeds) > 0 {
		errs = append(errs, r.closeFeed(0))
	}
	for len(r.cursors) > 0 {
		errs = append(errs, r.closeCursor(0))
	}
	for len(r.snapshots) > 0 {
		errs = append(errs, r.closeSnapshot(0))
	}
	return errors.Join(errs...)
}

// shut closes the store; nothing may be left open then.
func (r *run) shut() error {
	if err := r.closeHeld(); err != nil {
		return err
	}
	if err := r.store.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if n := r.fs.OpenHandles(); n != 0 {
		return fmt.Errorf("%d files open after Close", n)
	}
	return nil
}

// reopen closes and opens; half of the time it looks read-only in between.
func (r *run) reopen() error {
	r.note("reopen")
	feeds := slices.Clone(r.feeds)
	if err := r.shut(); err != nil {
		return err
	}
	if r.rand.IntN(2) == 0 {
		if err := r.lookReadOnly(); err != nil {
			return fmt.Errorf("read-only: %w", err)
		}
	}
	r.opts.Prefix = r.drawPrefix()
	if err := r.open(); err != nil {
		return err
	}
	if r.rand.IntN(2) == 0 {
		// The other keyspaces stay unopened for a while.
		err := checkSpace(r.store, r.want[0], r.now)
		return errors.Join(err, r.resumeFeeds(feeds))
	}
	if err := r.checkAll(r.store, r.want); err != nil {
		return err
	}
	return r.resumeFeeds(feeds)
}

// resumeFeeds resumes feeds, but those that have delivered what a crash has
// taken away, or may have: that a commit without a visible effect is gone does
// not show, and then its sequence number is that of another one.
func (r *run) resumeFeeds(feeds []*heldFeed) error {
	for _, h := range feeds {
		if h.at > len(r.commits) || h.at > 0 && r.commits[h.at-1].maybe {
			continue
		}
		if err := r.resumeFeed(h); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) lookReadOnly() error {
	opts := r.opts
	opts.ReadOnly = true
	opts.Prefix = r.drawPrefix()
	store, err := db.Open(dir, &opts)
	if err != nil {
		return err
	}
	if err := r.checkAll(store, r.want); err != nil {
		return err
	}
	if _, err := store.Keyspace("none", nil); !errors.Is(err, db.ErrNoKeyspace) {
		return fmt.Errorf("making a keyspace gave %v", err)
	}
	if err := store.Put([]byte("x"), nil); !errors.Is(err, db.ErrReadOnly) {
		return fmt.Errorf("a write gave %v", err)
	}
	return store.Close()
}

// kill opens what the death of the process would leave: every commit.
func (r *run) kill() error {
	r.note("kill")
	image := r.fs.KillClone()
	return r.replace(image, func(store *db.DB) (int, error) {
		r.synced = len(r.log) - 1 // none of them can be missing
		return r.synced, r.checkAll(store, r.want)
	})
}

// losePower opens what a power loss may leave: a prefix of the commits that
// has at least the synced ones.
func (r *run) losePower() error {
	r.note("lose power")
	r.synced = max(r.synced, 0)
	image := r.fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice {
		return vfs.CrashChoice(r.rand.IntN(3))
	})
	return r.replace(image, func(store *db.DB) (int, error) {
		var err error
		for i := len(r.log) - 1; i >= r.synced; i-- {
			e := r.checkAll(store, r.log[i])
			if e == nil {
				return i, nil
			}
			if err == nil {
				err = e
			}
		}
		return 0, fmt.Errorf("no prefix of %d..%d commits fits; the whole: %w", r.synced, len(r.log)-1, err)
	})
}

// replace goes on with image in place of the file system. check says how many
// commits since the last opening it holds.
func (r *run) replace(image *vfs.Mem, check func(*db.DB) (int, error)) error {
	feeds := slices.Clone(r.feeds)
	if err := r.shut(); err != nil {
		return err
	}
	r.fs, r.opts.FS = image, image
	log, synced := r.log, r.synced
	if err := r.open(); err != nil {
		return err
	}
	r.log, r.synced = log, synced
	held, err := check(r.store)
	if err != nil {
		return err
	}
	r.want = log[held]
	r.commits = r.commits[:len(r.commits)-(len(log)-1-held)]
	for i := held; i > r.synced; i-- { // as check has left it
		r.commits[len(r.commits)-1-held+i].maybe = true
	}
	r.log, r.synced = []world{r.want}, 0
	r.crashes = append(r.crashes, len(r.commits))
	return r.resumeFeeds(feeds)
}

// checkpoint makes one and opens it.
func (r *run) checkpoint(ctx context.Context) error {
	r.note("checkpoint")
	r.checkpoints++
	to := fmt.Sprintf("/checkpoint%d", r.checkpoints)
	if err := r.store.Checkpoint(ctx, to); err != nil {
		return err
	}
	opts := r.opts
	store, err := db.Open(to, &opts)
	if err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	if err := r.checkAll(store, r.want); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	if err := store.Close(); err != nil {
		return err
	}
	files, err := r.fs.List(to)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := r.fs.Remove(to + "/" + f.Name); err != nil {
			return err
		}
	}
	return r.fs.Remove(to)
}
