package damage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// dir is where the store is in its file system.
const dir = "/store"

// checkTime is the time at which stores are checked, an hour after they were
// written.
var checkTime = time.Unix(2e9, 0)

// feedBytes is how much log is kept for feeds.
const feedBytes = 1 << 20

// Options open a store of this package on a file system.
func Options(fsys vfs.FS, scale int) db.Options {
	return db.Options{
		FS: fsys, Clock: func() time.Time { return checkTime }, Merge: db.Append(),
		MemoryMax: 1 << 20, MemtableBytes: 4 << 10, BlockBytes: 512 * scale, TableBytes: 4 << 10 * int64(scale),
		ValueThreshold: 200 * scale, SyncInterval: -1, CompactionsMax: 1, OpenFilesMax: 64, FeedBytes: feedBytes,
	}
}

// Build writes a store of about 64 KiB times scale, in three forms: as a killed
// process left it, closed, and a checkpoint. It must run in a bubble of
// testing/synctest: then what the background does beside comes at much the same
// places each time.
func Build(scale int) (stores []*Store, err error) {
	for range 20 {
		if stores, err = build(scale); err == nil {
			break
		}
	}
	return stores, err
}

// build is one try: now and then not all kinds of files come to be.
func build(scale int) ([]*Store, error) {
	b := &builder{scale: scale, fs: vfs.NewMem(), state: State{}}
	b.opts = Options(b.fs, scale)
	b.opts.Clock = func() time.Time { return checkTime.Add(-time.Hour) }
	b.opts.MemtableBytes = 2 << 10 * int64(scale) // for several levels
	b.opts.SyncInterval = 10 * time.Millisecond   // the log is to end in a proof
	b.opts.FeedBytes = 0
	if err := b.open(); err != nil {
		return nil, err
	}
	b.bottom()
	b.middle()
	if err := b.reopen(feedBytes); err != nil {
		return nil, err
	}
	kept := len(b.changes)
	snap, err := b.store.Snapshot()
	if err != nil {
		return nil, err
	}
	after := snap.Seq()
	b.do(snap.Close())
	early := b.fs.KillClone()
	b.upper()
	b.between()
	b.put("zz/last", "table")
	b.do(b.store.Flush(context.Background()))
	synctest.Wait()
	b.countLevels()
	b.log = []*View{b.view()}
	late, killed := b.logged()
	b.do(b.store.Checkpoint(context.Background(), "/checkpoint"))
	if err := errors.Join(b.err, b.store.Close()); err != nil {
		return nil, err
	}
	last := b.log[len(b.log)-1:]
	feed := b.changes[kept:]
	stores := []*Store{
		{Name: "killed", FS: killed, States: b.log, Older: []*vfs.Mem{early, late}, Feed: feed, FeedAfter: after, Live: len(b.log) - 1},
		{Name: "closed", FS: b.fs.KillClone(), States: last, Older: []*vfs.Mem{early, killed}, Feed: feed, FeedAfter: after},
		{Name: "checkpoint", States: last},
	}
	if stores[2].FS, err = checkpointOf(b.fs); err != nil {
		return nil, err
	}
	for _, s := range stores {
		s.scale = scale
		if err := s.learn(); err != nil {
			return nil, fmt.Errorf("%s store: %w", s.Name, err)
		}
	}
	return stores, b.shape(stores)
}

// checkpointOf moves the checkpoint to where stores are.
func checkpointOf(fsys *vfs.Mem) (*vfs.Mem, error) {
	files, err := contents(fsys, "/checkpoint")
	if err != nil {
		return nil, err
	}
	return newFS(files)
}

func (b *builder) open() (err error) {
	if b.store, err = db.Open(dir, &b.opts); err != nil {
		return err
	}
	b.side, err = b.store.Keyspace(sideName, &db.KeyspaceOptions{Merge: db.Append(), BlockBytes: 300 * b.scale})
	if err != nil {
		return errors.Join(err, b.store.Close())
	}
	return nil
}

// reopen closes the store, then opens it so that it keeps so much log.
func (b *builder) reopen(feed int64) error {
	if err := errors.Join(b.err, b.store.Close()); err != nil {
		return err
	}
	b.opts.FeedBytes = feed
	return b.open()
}

// bottom writes tables of the last level and a value-log file that has been
// rewritten.
func (b *builder) bottom() {
	ctx := context.Background()
	for i := range 60 {
		b.put(key("a", i), small("old", i))
		b.put(key("b", i), b.noise(i))
		b.put(key("l", i%30), b.large("old", i))
		if i%4 == 0 {
			b.put(key("m", i), "base")
			b.putTTL(key("t", i), small("ttl", i), time.Duration(1+i%8)*20*time.Minute)
			b.putTTL(key("tl", i), b.large("ttl", i), time.Duration(1+i%8)*20*time.Minute)
		}
	}
	b.do(b.store.Compact(ctx, db.All()))
	b.do(b.side.Compact(ctx, db.All()))
	b.do(b.store.CollectGarbage(ctx, 0.01))
}

// middle writes tables of a level between them.
func (b *builder) middle() {
	for round := range 8 {
		for i := range 3 {
			b.put(key("b", i*20+round), b.noise(i+100))
			b.put(key("a", i*20+round), small("middle", i))
			b.put(key("l", (i*9+round)%30), b.large("middle", i))
			b.merge(key("m", i*18+round), "-middle")
		}
		if round == 1 {
			b.delete(key("b", 9))
			b.deleteRange(key("b", 30), key("b", 33))
		}
		b.do(b.store.Flush(context.Background()))
		synctest.Wait()
	}
}

// between writes tables of level 0 until some have come down, but not to the
// bottom.
func (b *builder) between() {
	for round := range 16 {
		levels := b.store.Metrics().Levels
		if slices.ContainsFunc(levels[1:len(levels)-1], func(l db.LevelMetrics) bool { return l.Tables > 0 }) {
			return
		}
		b.put(key("u", round), small("between", round))
		b.merge(key("m", 90+round%2), "-between")
		b.do(b.store.Flush(context.Background()))
		synctest.Wait()
	}
}

// upper writes tables above them, with everything that hides what is below.
func (b *builder) upper() {
	ctx := context.Background()
	for i := 0; i < 60; i += 3 {
		b.put(key("a", i), small("new", i))
		b.merge(key("m", i), fmt.Sprint("+", i))
	}
	b.deleteRange(key("a", 20), key("a", 26))
	b.deleteRange(key("m", 30), key("m", 32))
	for i := 1; i < 60; i += 9 {
		b.delete(key("a", i))
	}
	b.do(b.store.Flush(ctx))
	synctest.Wait()
	b.putTTL(key("a", 2), "expired over an old value", time.Minute)
	b.put(key("l", 3), b.large("new", 3))
	b.put("", "empty key")
	b.put(key("e", 1), "")
	b.deleteRange(key("l", 10), key("l", 12))
	for i := range 8 {
		b.merge(key("m", 100+i%3), fmt.Sprint("*", i))
	}
}

// logged writes what only the log holds, to several segments, each commit
// synced before the next: a flush begins and gets no further. It returns the
// files halfway, and at the end, when an idle store has said in the log that it
// is synced.
func (b *builder) logged() (half, killed *vfs.Mem) {
	release := make(chan struct{})
	b.fs.SetHook(func(op vfs.Op) error {
		if op.Kind == vfs.OpCreate && filepath.Ext(op.Path) == ".sst" {
			<-release
		}
		return nil
	})
	freeze := func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
		defer cancel()
		if err := b.store.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) {
			b.do(fmt.Errorf("a flush that is held up: %w", err))
		}
	}
	for i := range 6 {
		if i == 4 {
			freeze()
		}
		b.put(key("a", 10+i), small("logged", i))
		b.do(b.store.Sync())
		b.put(key("w", i), b.large("logged", i))
		b.do(b.store.Sync())
	}
	half = b.fs.KillClone()
	b.delete(key("a", 4))
	b.do(b.store.Sync())
	freeze()
	b.merge(key("m", 0), "+logged")
	b.do(b.store.Sync())
	b.deleteRange(key("a", 40), key("a", 44))
	b.do(b.store.Sync())
	b.putTTL(key("a", 5), "expired", time.Minute)
	b.do(b.store.Sync())
	b.put(key("w", 9), b.large("last", 9))
	b.do(b.store.Sync())
	time.Sleep(50 * time.Millisecond)
	synctest.Wait()
	killed = b.fs.KillClone()
	close(release)
	synctest.Wait()
	b.fs.SetHook(nil)
	b.do(b.store.Flush(context.Background()))
	return half, killed
}

// countLevels remembers on how many levels there are tables.
func (b *builder) countLevels() {
	for _, l := range b.store.Metrics().Levels {
		if l.Tables > 0 {
			b.levels++
		}
	}
}

// shape checks that the stores have all that should be damaged.
func (b *builder) shape(stores []*Store) error {
	roles := make(map[string]int)
	for _, s := range stores {
		for _, f := range s.Files {
			roles[f.Role]++
		}
	}
	for _, role := range Roles {
		if roles[role] == 0 {
			return fmt.Errorf("there is no file of kind %q: %v", role, roles)
		}
	}
	if b.levels < 3 || roles[roleTable] < 10 {
		return fmt.Errorf("%d levels, files %v", b.levels, roles)
	}
	return nil
}

// clones are the files of several file systems.
func clones(all []*vfs.Mem) ([]map[string][]byte, error) {
	var files []map[string][]byte
	for _, fsys := range all {
		f, err := contents(fsys, dir)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// sortedNames are the names of files, ascending.
func sortedNames[V any](files map[string]V) []string { return slices.Sorted(maps.Keys(files)) }
