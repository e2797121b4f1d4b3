package db

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// Keyspace is a named tree of keys with options of its own. All keyspaces of a
// store share its log, its value log and its order of commits, so that batches,
// snapshots and transactions span them. The default one, which the methods of
// DB use, has no name and is always there.
//
// A Keyspace is open as long as its DB; there is nothing to close. Safe for
// concurrent use.
type Keyspace struct {
	db   *DB
	num  uint32
	name string

	set     atomic.Pointer[settings]
	dropped atomic.Bool
	doubted atomic.Bool // a drop has failed, and may come to pass at the next open
}

// KeyspaceNameBytesMax is the length of the longest name of a keyspace.
const KeyspaceNameBytesMax = 255

// Name is the keyspace's name; empty for the default one.
func (ks *Keyspace) Name() string { return ks.name }

// DefaultTTL is the time to live of what Put writes, 0 if that does not expire.
func (ks *Keyspace) DefaultTTL() time.Duration { return ks.set.Load().ttl }

// merge is the keyspace's merge operator, nil if it has none.
func (ks *Keyspace) merge() MergeOperator { return ks.set.Load().merge }

// droppedErr is the error of calls on a keyspace that is not there any more, nor,
// perhaps, the store.
func (ks *Keyspace) droppedErr() error {
	if ks.db.state.Load() == nil {
		return ErrClosed
	}
	return fmt.Errorf("%w: %q", ErrKeyspaceDropped, ks.name)
}

// keyspaces are the keyspaces of a store that are not dropped.
type keyspaces struct {
	changing sync.Mutex // held while one is made, opened or dropped; taken before all others

	mu     sync.Mutex // guards what follows; a leaf
	byName map[string]*Keyspace
	byNum  map[uint32]*Keyspace
}

func (k *keyspaces) add(ks *Keyspace) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.byName == nil {
		k.byName, k.byNum = make(map[string]*Keyspace), make(map[uint32]*Keyspace)
	}
	k.byName[ks.name], k.byNum[ks.num] = ks, ks
}

func (k *keyspaces) remove(ks *Keyspace) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.byName, ks.name)
	delete(k.byNum, ks.num)
}

// named is the keyspace of that name, nil if there is none.
func (k *keyspaces) named(name string) *Keyspace {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byName[name]
}

// numbered is the keyspace of that number, nil if there is none.
func (k *keyspaces) numbered(num uint32) *Keyspace {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.byNum[num]
}

// names are those of all keyspaces, sorted.
func (k *keyspaces) names() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.Sorted(maps.Keys(k.byName))
}

// loadKeyspaces opens the keyspaces that the MANIFEST knows, the file of that name.
func (db *DB) loadKeyspaces(name string) error {
	version := db.set.Current()
	defer version.Unref()
	db.main = &Keyspace{db: db}
	db.main.set.Store(db.mainSettings())
	db.spaces.add(db.main)
	for _, tree := range version.Trees {
		if tree.Dropped || tree.Num == 0 {
			continue
		}
		stored, err := decodeSettings(tree.Settings)
		if err != nil {
			return badSettings(name, tree.Name, err)
		}
		ks := &Keyspace{db: db, num: tree.Num, name: tree.Name}
		ks.set.Store(db.newSettings(stored, &KeyspaceOptions{}))
		db.spaces.add(ks)
	}
	return nil
}

// Default is the default keyspace: that of DB's own methods.
func (db *DB) Default() *Keyspace { return db.main }

// Keyspaces are the names of all keyspaces but the default one, sorted.
func (db *DB) Keyspaces() []string {
	return slices.DeleteFunc(db.spaces.names(), func(name string) bool { return name == "" })
}

// Keyspace opens the keyspace of that name, 1 to KeyspaceNameBytesMax bytes of
// valid UTF-8, and makes it if it does not exist. Opening it again gives the
// same Keyspace. o may be nil.
//
// Options that are set replace those that the keyspace had; its numbers and
// its default time to live are stored with it. Its functions (merge operator,
// compaction filter, prefix extractor) cannot be stored: give them each time
// that the store is opened, before the keyspace is used. Until then background
// work leaves merge operands uncombined and filters nothing.
//
// Making a keyspace is durable when Keyspace returns. It takes a write to the
// MANIFEST: meant for up to some hundreds of keyspaces, not for one per user.
//
// Errors: ErrNoKeyspace if it does not exist and must, or the store is
// read-only; ErrMergeOperator if it was written with another operator.
func (db *DB) Keyspace(name string, o *KeyspaceOptions) (*Keyspace, error) {
	if o == nil {
		o = &KeyspaceOptions{}
	}
	if err := errors.Join(checkKeyspaceName(name), o.check()); err != nil {
		return nil, err
	}
	var ks *Keyspace
	err := db.during(context.Background(), func(context.Context) (err error) {
		db.spaces.changing.Lock()
		defer db.spaces.changing.Unlock()
		if ks = db.spaces.named(name); ks != nil {
			return db.reopenKeyspace(ks, o)
		}
		if o.MustExist || db.opts.ReadOnly {
			return fmt.Errorf("%w: %q", ErrNoKeyspace, name)
		}
		ks, err = db.createKeyspace(name, o)
		return err
	})
	if err != nil {
		return nil, err
	}
	return ks, nil
}

// reopenKeyspace gives an existing keyspace the options that are set in o.
func (db *DB) reopenKeyspace(ks *Keyspace, o *KeyspaceOptions) error {
	tree := db.tree(ks.num)
	if tree == nil {
		return ErrClosed
	}
	if err := checkMergeOperator(o.Merge, tree.MergeOperator); err != nil {
		return fmt.Errorf("keyspace %q: %w", ks.name, err)
	}
	old := ks.set.Load()
	stored := old.stored.with(o)
	if stored != old.stored && !db.opts.ReadOnly {
		change := manifest.KeyspaceChange{Num: ks.num, Settings: stored.encode()}
		if err := db.apply(&manifest.Edit{KeyspacesChanged: []manifest.KeyspaceChange{change}}, nil, nil); err != nil {
			return err
		}
	}
	merged := *o
	merged.Merge = keep(o.Merge, old.merge)
	merged.CompactionFilter = keep(o.CompactionFilter, old.filter)
	merged.Prefix = keep(o.Prefix, old.prefix)
	ks.set.Store(db.newSettings(stored, &merged))
	return nil
}

// keep is value, or old if value is not given.
func keep[T any](value, old T) T {
	if any(value) == nil {
		return old
	}
	return value
}

// createKeyspace makes a keyspace. It has its memtable before a read state can
// show it, and no commit is on its way meanwhile.
func (db *DB) createKeyspace(name string, o *KeyspaceOptions) (*Keyspace, error) {
	stored := storedSettings{}.with(o)
	var ks *Keyspace
	err := db.pipeline.Exclusive(func() error {
		if err := db.writable(); err != nil {
			return err
		}
		num := db.set.NewKeyspaceNum()
		ks = &Keyspace{db: db, num: num, name: name}
		ks.set.Store(db.newSettings(stored, o))
		db.w.gen.add(db.opts.MemtableBytes, num)
		err := db.apply(&manifest.Edit{KeyspacesAdded: []manifest.Keyspace{
			{Num: num, Name: name, Settings: stored.encode()}}}, nil, nil)
		if err != nil {
			db.w.gen.forget(num)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	db.spaces.add(ks)
	return ks, nil
}

// DropKeyspace removes a keyspace with all that is in it: at once for every
// reader and writer, whatever its size; the space on disk comes back in the
// background. Snapshots and transactions lose it too, cursors that are open do
// not. The name is free then. Calls on the dropped Keyspace return
// ErrKeyspaceDropped. ErrNoKeyspace if there is none of that name; the default
// keyspace cannot be dropped (use DeleteRange(All()) to empty it).
//
// The drop is durable when DropKeyspace returns nil. After ErrDiskFull the
// keyspace is still there, but writes to it get that error until there is room to
// settle that. If the process dies before, the next Open may find it dropped, and
// that is durable once the store has taken a commit, or another change of
// keyspaces.
func (db *DB) DropKeyspace(name string) error {
	if err := checkKeyspaceName(name); err != nil {
		return err
	}
	return db.during(context.Background(), func(context.Context) error {
		db.spaces.changing.Lock()
		defer db.spaces.changing.Unlock()
		ks := db.spaces.named(name)
		if ks == nil {
			return fmt.Errorf("%w: %q", ErrNoKeyspace, name)
		}
		// Between two groups, so that no commit that is on its way ends in a
		// keyspace that is gone: writeGroup refuses those that come later.
		err := db.pipeline.Exclusive(func() error {
			if err := db.writable(); err != nil {
				return err
			}
			err := db.apply(&manifest.Edit{KeyspacesDropped: []uint32{ks.num}}, nil, nil)
			var uncertain *manifest.UncertainError
			switch {
			case err == nil:
				ks.dropped.Store(true)
				db.w.gen.forget(ks.num)
			case errors.As(err, &uncertain):
				ks.doubted.Store(true)
			}
			return err
		})
		if err != nil {
			return err
		}
		db.spaces.remove(ks)
		db.broadcast()
		db.feeds.wake()
		return nil
	})
}

// settle makes sure that a drop which failed will not come to pass after all,
// before anything is written that would be lost by it. The caller is the commit
// side.
func (ks *Keyspace) settle() error {
	if !ks.doubted.Load() {
		return nil
	}
	if err := ks.db.apply(&manifest.Edit{}, nil, nil); err != nil {
		return classify(err)
	}
	ks.doubted.Store(false)
	return nil
}

// tree is the newest tree of a keyspace, nil if there is none.
func (db *DB) tree(num uint32) *manifest.Tree {
	s, _ := db.acquire()
	if s == nil {
		return nil
	}
	defer db.release(s)
	return s.version.Tree(num)
}

// removeDropped forgets dropped keyspaces whose tables are all gone.
func (db *DB) removeDropped() error {
	s, _ := db.acquire()
	if s == nil {
		return nil
	}
	defer db.release(s)
	var gone []uint32
	for _, tree := range s.version.Trees {
		inMemory := slices.ContainsFunc(s.gens[1:], func(g *generation) bool { return g.mem(tree.Num) != nil })
		if tree.Dropped && !inMemory && emptyTree(tree) {
			gone = append(gone, tree.Num)
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return db.apply(&manifest.Edit{KeyspacesRemoved: gone}, nil, nil)
}

func emptyTree(tree *manifest.Tree) bool {
	for _, tables := range tree.Levels {
		if len(tables) > 0 {
			return false
		}
	}
	return true
}

// Compact is DB.Compact for the keyspace.
func (ks *Keyspace) Compact(ctx context.Context, r Range) error {
	if r.empty() {
		return ks.db.writable()
	}
	return ks.db.during(ctx, func(ctx context.Context) error { return ks.compactRange(ctx, r) })
}

// settingsOf are those of a keyspace by number; of one that is dropped, or not
// known, those of the store without its functions.
func (db *DB) settingsOf(num uint32) *settings {
	if num == 0 {
		return db.main.set.Load()
	}
	if ks := db.spaces.numbered(num); ks != nil {
		return ks.set.Load()
	}
	return db.newSettings(storedSettings{}, &KeyspaceOptions{})
}

// expiry is when a value that is written now expires if nobody says, 0 for
// never.
func (ks *Keyspace) expiry() (uint64, error) {
	ttl := ks.set.Load().ttl
	if ttl == 0 {
		return 0, nil
	}
	return expiryAfter(ks.db.clock(), ttl)
}

// ttlKind is the kind of a set that expires at expiry.
func ttlKind(expiry uint64) base.Kind {
	if expiry == 0 {
		return base.KindSet
	}
	return base.KindSet | base.FlagExpiry
}
