package model

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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
	if err := checkSpace(store, want.of(r.spaces[0]), r.now); err != nil {
		return err
	}
	for _, s := range r.spaces[1:] {
		ks, err := store.Keyspace(s.name, &db.KeyspaceOptions{Merge: s.op, MustExist: true})
		if err != nil {
			return err
		}
		if err := checkSpace(ks, want.of(s), r.now); err != nil {
			return fmt.Errorf("keyspace %d %q: %w", s.id, s.name, err)
		}
	}
	return nil
}

// checkSpace compares a whole keyspace with a state: by a scan, and every third
// key by a read.
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
	for i := len(items) % 3; i < len(items); i += 3 {
		it := items[i]
		got, err := from.Get([]byte(it.key))
		if err != nil || !bytes.Equal(got, it.value) {
			return fmt.Errorf("Get(%q) = %s, %v; want %s", it.key, brief(got), err, brief(it.value))
		}
	}
	return nil
}

// closeHeld closes every snapshot and cursor, and discards every transaction; or
// it leaves them to the store, which says how many there were.
func (r *run) closeHeld(leak bool) (leaks int, err error) {
	var errs []error
	for _, h := range r.sequences {
		if !r.draw.One(2) { // else its rest is lost
			errs = append(errs, h.seq.Close())
		}
	}
	r.sequences = nil
	if leak {
		leaks = len(r.txs) + len(r.cursors) + len(r.snapshots) + len(r.feeds)
		return leaks, errors.Join(errs...)
	}
	for _, h := range r.txs {
		h.tx.Discard()
	}
	r.txs, r.changes = nil, nil
	for len(r.feeds) > 0 {
		errs = append(errs, r.closeFeed(0))
	}
	for len(r.cursors) > 0 {
		errs = append(errs, r.closeCursor(0))
	}
	for len(r.snapshots) > 0 {
		errs = append(errs, r.closeSnapshot(0))
	}
	return 0, errors.Join(errs...)
}

// shut closes the store; nothing may be left open then.
func (r *run) shut(leak bool) error {
	leaks, err := r.closeHeld(leak)
	if err != nil {
		return err
	}
	if err := r.store.Close(); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	if n := r.fs.OpenHandles(); n != 0 {
		return fmt.Errorf("%d files open after Close", n)
	}
	if leak {
		if err := r.useClosed(leaks); err != nil {
			return err
		}
	}
	told, bad := r.events.soFar()
	switch {
	case bad != nil:
		return bad
	case told.leaks != leaks:
		return fmt.Errorf("%d leaks were reported, there were %d", told.leaks, leaks)
	case told.cuts > 0 && !r.powerLost:
		return errors.New("the log was cut, though no power was lost")
	}
	r.powerLost = false
	return nil
}

// useClosed uses what was open when the store was closed.
func (r *run) useClosed(leaks int) error {
	r.note("closed with %d things open", leaks)
	errs := make(map[string]error)
	for _, h := range r.txs {
		_, errs["transaction"] = h.tx.Get(nil)
		h.tx.Discard()
	}
	for _, h := range r.cursors {
		h.cursor.Next()
		errs["cursor"] = h.cursor.Err()
		_ = h.cursor.Close()
	}
	for _, h := range r.snapshots {
		_, errs["snapshot"] = h.snap.Get(nil)
		_ = h.snap.Close()
	}
	for _, h := range r.feeds {
		_, errs["feed"] = h.feed.Next(context.Background())
		_ = h.feed.Close()
	}
	r.txs, r.changes, r.cursors, r.snapshots, r.feeds = nil, nil, nil, nil, nil
	_, errs["get"] = r.store.Get(nil)
	errs["put"] = r.store.Put(nil, nil)
	errs["apply"] = r.store.Apply(r.batch, db.NoSync)
	errs["flush"] = r.store.Flush(context.Background())
	_, errs["begin"] = r.store.Begin(db.TxOptions{})
	_, errs["keyspace"] = r.store.Keyspace("a", nil)
	for what, err := range errs {
		if !errors.Is(err, db.ErrClosed) {
			return fmt.Errorf("%s after Close: %v", what, err)
		}
	}
	return nil
}

// reopen closes and opens, perhaps with other settings; half of the time it looks
// read-only in between.
func (r *run) reopen() error {
	r.note("reopen")
	feeds := slices.Clone(r.feeds)
	if err := r.shut(r.draw.One(4)); err != nil {
		return err
	}
	if r.draw.One(2) {
		if err := r.lookReadOnly(r.fs); err != nil {
			return fmt.Errorf("read-only: %w", err)
		}
	}
	if r.draw.One(3) {
		r.drawOptions()
	}
	r.opts.MustExist = r.draw.One(2)
	seq := r.log[len(r.log)-1].seq
	if err := r.open(); err != nil {
		return err
	}
	if r.log[0].seq < seq {
		return fmt.Errorf("the store is at %d again, it was at %d", r.log[0].seq, seq)
	}
	if err := r.tellTime(); err != nil {
		return err
	}
	if r.draw.One(2) {
		// The other keyspaces stay unopened for a while.
		err := checkSpace(r.store, r.want.of(r.spaces[0]), r.now)
		return errors.Join(err, r.resumeFeeds(feeds))
	}
	if err := r.checkAll(r.store, r.want); err != nil {
		return err
	}
	return r.resumeFeeds(feeds)
}

// resumeFeeds resumes feeds, but those that have delivered what a power loss has
// taken away.
func (r *run) resumeFeeds(feeds []*heldFeed) error {
	for _, h := range feeds {
		if h.position > r.log[0].seq {
			if h.durable && h.delivered > r.log[0].seq {
				return fmt.Errorf("a durable feed delivered %d, the store has come back at %d", h.delivered, r.log[0].seq)
			}
			continue
		}
		if err := r.resumeFeed(h); err != nil {
			return err
		}
	}
	return nil
}

// lookReadOnly compares what an opening that writes nothing shows.
func (r *run) lookReadOnly(fs *vfs.Mem) error {
	opts := r.opts
	opts.ReadOnly, opts.FS, opts.Events = true, fs, nil
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
	if r.draw.One(3) {
		if err := r.lookReadOnly(r.fs.KillClone()); err != nil {
			return fmt.Errorf("read-only, after a kill: %w", err)
		}
	}
	r.synced = len(r.log) - 1 // none of them can be missing
	return r.replace(image, false)
}

// losePower opens what a power loss may leave: a prefix of the commits that has
// at least the synced ones, and those that are older than the interval of the
// background's syncs.
func (r *run) losePower() error {
	return r.replace(r.afterPowerLoss(), true)
}

// afterPowerLoss is what a power loss may leave now, or some time later.
func (r *run) afterPowerLoss() *vfs.Mem {
	if interval := cmp.Or(r.opts.SyncInterval, 100*time.Millisecond); interval > 0 {
		time.Sleep(pick(r, 0, 0, interval+time.Millisecond))
		r.settle() // what was due now is done
		for i := len(r.log) - 1; i > r.synced; i-- {
			if time.Since(r.log[i].at) > interval {
				r.synced = i
				break
			}
		}
	}
	return r.fs.CrashClone(r.drawCrash())
}

// imagine opens what a power loss would leave, and goes on without one.
func (r *run) imagine() error {
	opts := r.opts
	opts.FS, opts.Events, opts.ReadOnly = r.afterPowerLoss(), nil, r.draw.One(2)
	store, err := db.Open(dir, &opts)
	if err != nil {
		return fmt.Errorf("open after a power loss: %w", err)
	}
	err = r.sameMoment(store)
	return errors.Join(err, store.Close())
}

// sameMoment compares a store that a power loss may have left with the moment at
// which it is.
func (r *run) sameMoment(store *db.DB) error {
	snap, err := store.Snapshot()
	if err != nil {
		return err
	}
	seq := snap.Seq()
	if err := snap.Close(); err != nil {
		return err
	}
	for _, h := range r.feeds {
		if h.durable && h.delivered > seq {
			return fmt.Errorf("a durable feed delivered %d, a power loss leaves %d", h.delivered, seq)
		}
	}
	held, err := r.momentOf(r.log, seq)
	if err != nil || r.clock.Load() < r.latest.UnixNano() {
		return err // by which time it goes is not known
	}
	if err := r.checkAll(store, r.log[held].want); err != nil {
		return fmt.Errorf("of %d commits, %d synced, %d left by a power loss: %w", len(r.log)-1, r.synced, held, err)
	}
	return nil
}

// momentOf is the newest moment of a log that a store at seq has. All that is
// durable must be before it.
func (r *run) momentOf(log []moment, seq uint64) (held int, err error) {
	next, _ := slices.BinarySearchFunc(log, seq+1, func(m moment, seq uint64) int { return cmp.Compare(m.seq, seq) })
	held = next - 1
	r.note("  %d of %d commits are held, %d had to be", held, len(log)-1, r.synced)
	if held < r.synced {
		return held, fmt.Errorf("%d of %d commits are left, %d were durable", held, len(log)-1, r.synced)
	}
	return held, nil
}

// drawCrash draws what becomes of what was not synced.
func (r *run) drawCrash() func(vfs.CrashItem) vfs.CrashChoice {
	how := r.draw.IntN(8)
	r.note("lose power, way %d", how)
	if how < 3 {
		return func(vfs.CrashItem) vfs.CrashChoice { return vfs.CrashChoice(how) }
	}
	random := rand.New(rand.NewPCG(uint64(r.draw.IntN(1<<16)), 2))
	return func(item vfs.CrashItem) vfs.CrashChoice {
		if how < 6 && (how == 3) != item.Dir { // of files, or of directories, all is kept
			return vfs.CrashKeep
		}
		return vfs.CrashChoice(random.IntN(3))
	}
}

// replace goes on with image in place of the file system, and finds out which
// commits it holds. All that are in it, and nothing else, must be there.
func (r *run) replace(image *vfs.Mem, powerLost bool) error {
	feeds := slices.Clone(r.feeds)
	if err := r.shut(r.draw.One(8)); err != nil {
		return err
	}
	r.fs, r.opts.FS, r.powerLost = image, image, powerLost
	log, synced := r.log, r.synced
	if err := r.open(); err != nil {
		return err
	}
	seq := r.log[0].seq
	r.synced = synced
	held, err := r.momentOf(log, seq)
	if err != nil {
		return err
	}
	r.synced = 0
	r.want = log[held].want
	r.log[0].want = r.want
	r.commits = r.commits[:len(r.commits)-(len(log)-1-held)]
	if err := r.tellTime(); err != nil {
		return err
	}
	if err := r.checkAll(r.store, r.want); err != nil {
		return fmt.Errorf("of %d commits, %d synced, %d left: %w", len(log)-1, synced, held, err)
	}
	return r.resumeFeeds(feeds)
}

// checkpoint makes one and opens it, to read or to write.
func (r *run) checkpoint() error {
	r.checkpoints++
	to := fmt.Sprintf("/checkpoint%d", r.checkpoints)
	if err := r.store.Checkpoint(context.Background(), to); err != nil {
		return err
	}
	opts := r.opts
	opts.ReadOnly, opts.Events = r.draw.One(2), nil
	r.note("checkpoint, opened to read only %v", opts.ReadOnly)
	store, err := db.Open(to, &opts)
	if err != nil {
		return fmt.Errorf("open checkpoint: %w", err)
	}
	if err := r.checkAll(store, r.want); err != nil {
		return errors.Join(fmt.Errorf("checkpoint: %w", err), store.Close())
	}
	if !opts.ReadOnly { // what is written there is not seen here
		key := r.key()
		if err := errors.Join(store.Put(key, []byte("checkpoint")), store.DeleteRange(db.From([]byte("k")))); err != nil {
			return errors.Join(err, store.Close())
		}
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
