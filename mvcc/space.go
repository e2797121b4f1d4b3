package mvcc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"weak"

	"github.com/cordwood-db/cordwood/db"
)

// Space is a keyspace whose keys have versions. It is open as long as its
// store; there is nothing to close. Safe for concurrent use.
type Space struct {
	// Immutable.
	store *db.DB
	ks    *db.Keyspace

	// setting is held by whoever moves the discard timestamp; taken before gate.
	setting sync.Mutex

	// gate is shared by commits, from the check of their timestamp until they
	// are visible. floor moves under it alone: so whoever has moved it knows
	// that no commit at or below it is on its way.
	gate  sync.RWMutex
	floor Timestamp // writes are above it; at or above discard

	mu      sync.Mutex // guards what follows; a leaf
	discard Timestamp  // durable
	holds   map[*hold]struct{}
	dead    deadKeys
	leaked  func(OpenView)
}

// Options are the settings of a Space. nil and zero values mean: as it was, and
// for a new one what the store's options say.
type Options struct {
	// BlockBytes, ValueThreshold, FilterBitsPerKey and Compression, as in
	// db.Options.
	BlockBytes       int
	ValueThreshold   int
	FilterBitsPerKey float64
	Compression      db.Compression

	// Leaked is called for a view that the garbage collector has found before
	// it was closed; what it held back is free then. It is called from a
	// goroutine of the runtime's and must not block. Default: nothing is told.
	Leaked func(OpenView)

	// MustExist makes Open fail with db.ErrNoKeyspace instead of making one.
	MustExist bool
}

// spaces are the open spaces by their keyspaces, so that a keyspace has one:
// two would not know of each other's views. A Space lives as long as its
// Keyspace, whose compaction filter refers to it.
var spaces struct {
	mu    sync.Mutex // held through Open
	byKey map[weak.Pointer[db.Keyspace]]weak.Pointer[Space]
}

// Open opens the versioned keyspace of that name and makes it if it does not
// exist; o may be nil. Opening it again gives the same Space. It has to be
// opened each time that its store is, before much is compacted: what is not open
// keeps all its versions.
//
// Errors: ErrNotVersioned if the keyspace holds other data, db.ErrNoKeyspace if
// it does not exist and must, or the store is read-only; those of
// [db.DB.Keyspace].
func Open(store *db.DB, name string, o *Options) (*Space, error) {
	if o == nil {
		o = &Options{}
	}
	spaces.mu.Lock()
	defer spaces.mu.Unlock()
	ks, err := store.Keyspace(name, &db.KeyspaceOptions{MustExist: true})
	if errors.Is(err, db.ErrNoKeyspace) && !o.MustExist {
		ks, err = store.Keyspace(name, nil)
	}
	if err != nil {
		return nil, err
	}
	s := spaces.byKey[weak.Make(ks)].Value()
	if s == nil {
		s = &Space{store: store, ks: ks, holds: make(map[*hold]struct{})}
		if err := s.load(); err != nil {
			return nil, err
		}
	}
	if err := s.configure(o); err != nil {
		return nil, err
	}
	s.register()
	return s, nil
}

// load reads the header, and makes it in a keyspace that is empty.
func (s *Space) load() error {
	header, err := s.ks.Get(headerKey)
	if errors.Is(err, db.ErrNotFound) {
		return s.create()
	}
	if err != nil {
		return err
	}
	s.discard, err = decodeHeader(s.Name(), header)
	s.floor = s.discard
	return err
}

// create makes the header of an empty keyspace.
func (s *Space) create() error {
	c, err := s.ks.NewCursor(db.All())
	if err != nil {
		return err
	}
	defer c.Close()
	if c.First() {
		return fmt.Errorf("%w: %q", ErrNotVersioned, s.Name())
	}
	if err := c.Err(); err != nil {
		return err
	}
	return s.writeHeader(0)
}

// writeHeader writes the header. It is durable when writeHeader returns.
func (s *Space) writeHeader(discard Timestamp) error {
	var b db.Batch
	if err := b.In(s.ks).Put(headerKey, encodeHeader(discard)); err != nil {
		return err
	}
	return s.store.Apply(&b, db.Sync)
}

// configure gives the keyspace its options.
func (s *Space) configure(o *Options) error {
	_, err := s.store.Keyspace(s.Name(), &db.KeyspaceOptions{
		CompactionFilter: discardFilter{s},
		Prefix:           db.DelimitedPrefix(keyEnd), // all versions of a key
		DefaultTTL:       -1,                         // versions do not expire
		BlockBytes:       o.BlockBytes,
		ValueThreshold:   o.ValueThreshold,
		FilterBitsPerKey: o.FilterBitsPerKey,
		Compression:      o.Compression,
		MustExist:        true,
	})
	if err == nil && o.Leaked != nil {
		s.mu.Lock()
		s.leaked = o.Leaked
		s.mu.Unlock()
	}
	return err
}

// register makes the space the one of its keyspace. spaces.mu is held.
func (s *Space) register() {
	key := weak.Make(s.ks)
	if spaces.byKey[key].Value() != nil {
		return
	}
	if spaces.byKey == nil {
		spaces.byKey = make(map[weak.Pointer[db.Keyspace]]weak.Pointer[Space])
	}
	spaces.byKey[key] = weak.Make(s)
	runtime.AddCleanup(s.ks, func(key weak.Pointer[db.Keyspace]) {
		spaces.mu.Lock()
		defer spaces.mu.Unlock()
		delete(spaces.byKey, key)
	}, key)
}

// Name is the name of the space's keyspace.
func (s *Space) Name() string { return s.ks.Name() }

// Keyspace is what the versions are stored in: for metrics and estimates, and
// for DropKeyspace. Don't write to it.
func (s *Space) Keyspace() *db.Keyspace { return s.ks }

// Compact removes from r, a range of user keys, what nobody can see any more, and
// merges what is left. It takes as long as rewriting the range does. What open
// views may see stays, and what snapshots and transactions may see stays for
// them.
func (s *Space) Compact(ctx context.Context, r db.Range) error {
	if err := s.sweep(ctx, r, false); err != nil {
		return err
	}
	if err := s.ks.Compact(ctx, storedRange(r)); err != nil {
		return err
	}
	// The filter has left what it had no reason to drop in the run that met it:
	// the newest of each run, and what an older snapshot sees. That is little.
	return s.sweep(ctx, r, true)
}

// storedRange are the stored keys of all versions of the user keys in r.
func storedRange(r db.Range) db.Range {
	lower := appendPrefix(nil, r.Lower())
	upper, ok := r.Upper()
	if !ok {
		return db.From(lower)
	}
	return db.Between(lower, appendPrefix(nil, upper))
}
