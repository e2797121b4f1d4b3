package trace

import (
	"context"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// DB is a store whose operations are recorded. It has the methods of db.DB, with
// types of this package where those of db could not be seen into: Batch, Cursor,
// Keyspace, Snapshot and Tx. It may be used by any number of goroutines.
//
// Not recorded, because no other engine could be asked for it, are Sync, Flush,
// Compact, CollectGarbage, Checkpoint, Estimate, Metrics, sequences and feeds.
type DB struct {
	reads
	writes
	conditionals
	store  *db.DB
	r      *Recorder
	client uint32
}

// Wrap records the operations of store in r, which is for one store. The store
// stays the caller's; DB.Close closes it, and not r.
func Wrap(store *db.DB, r *Recorder) *DB { return newDB(store, r, 0) }

func newDB(store *db.DB, r *Recorder, client uint32) *DB {
	s := scope{r: r, client: client}
	return &DB{reads{s, store}, writes{s, store}, conditionals{s, store}, store, r, client}
}

// Unwrap is the store itself. What is done to it is not recorded.
func (d *DB) Unwrap() *db.DB { return d.store }

// Client is the same store, recorded under the next number of a client. Without
// it all operations are those of client 0.
func (d *DB) Client() *DB { return newDB(d.store, d.r, d.r.clients.Add(1)) }

// PutIfAbsentTTL is PutIfAbsentTTL of the store, recorded.
func (d *DB) PutIfAbsentTTL(key, value []byte, ttl time.Duration) (stored bool, err error) {
	return d.Default().PutIfAbsentTTL(key, value, ttl)
}

// NewBatch is NewBatch of the store.
func (d *DB) NewBatch() *Batch { return &Batch{b: d.store.NewBatch()} }

// Apply is Apply of the store, recorded as one operation with its writes. Of a
// batch of more than about 700 KiB of keys, or of 65,536 writes, only so many
// are in the trace, and the number of the others.
func (d *DB) Apply(b *Batch, durability db.Durability) error {
	start := d.r.now()
	err := d.store.Apply(b.Unwrap(), durability)
	op := Op{Kind: KindBatch, Client: d.client, Start: start, Error: classOf(err), Cut: b.items.cut, Sync: durability == db.Sync}
	d.r.record(&op, b.items.enc.buf, b.items.n)
	return err
}

// Snapshot is Snapshot of the store. Its reads are recorded.
func (d *DB) Snapshot() (*Snapshot, error) {
	s, err := d.store.Snapshot()
	if err != nil {
		return nil, err
	}
	return &Snapshot{reads{scope{r: d.r, client: d.client, snapshot: true}, s}, s}, nil
}

// Default is the default keyspace.
func (d *DB) Default() *Keyspace { return d.space(d.store.Default()) }

// Keyspace is Keyspace of the store. Its operations are recorded with a number
// that stands for its name.
func (d *DB) Keyspace(name string, o *db.KeyspaceOptions) (*Keyspace, error) {
	ks, err := d.store.Keyspace(name, o)
	if err != nil {
		return nil, err
	}
	return d.space(ks), nil
}

// DropKeyspace is DropKeyspace of the store, recorded.
func (d *DB) DropKeyspace(name string) error {
	op := Op{Kind: KindDropKeyspace, Client: d.client, Keyspace: d.r.space(name), Start: d.r.now()}
	err := d.store.DropKeyspace(name)
	op.Error = classOf(err)
	d.r.record(&op, nil, 0)
	return err
}

func (d *DB) space(ks *db.Keyspace) *Keyspace {
	s := scope{r: d.r, client: d.client, keyspace: d.r.space(ks.Name())}
	return &Keyspace{reads{s, ks}, writes{s, ks}, conditionals{s, ks}, ks}
}

// Keyspaces is Keyspaces of the store.
func (d *DB) Keyspaces() []string { return d.store.Keyspaces() }

// Close closes the store. The recorder is closed by itself, after it.
func (d *DB) Close() error { return d.store.Close() }

// Sync is Sync of the store, not recorded.
func (d *DB) Sync() error { return d.store.Sync() }

// Flush is Flush of the store, not recorded.
func (d *DB) Flush(ctx context.Context) error { return d.store.Flush(ctx) }

// Compact is Compact of the store, not recorded.
func (d *DB) Compact(ctx context.Context, r db.Range) error { return d.store.Compact(ctx, r) }

// CollectGarbage is CollectGarbage of the store, not recorded.
func (d *DB) CollectGarbage(ctx context.Context, ratio float64) error {
	return d.store.CollectGarbage(ctx, ratio)
}

// Checkpoint is Checkpoint of the store, not recorded.
func (d *DB) Checkpoint(ctx context.Context, dir string) error { return d.store.Checkpoint(ctx, dir) }

// Estimate is Estimate of the store, not recorded.
func (d *DB) Estimate(r db.Range) (db.Estimate, error) { return d.store.Estimate(r) }

// Metrics is Metrics of the store.
func (d *DB) Metrics() db.Metrics { return d.store.Metrics() }

// Sequence is Sequence of the store, not recorded.
func (d *DB) Sequence(key []byte, lease uint64) (*db.Sequence, error) {
	return d.store.Sequence(key, lease)
}

// Subscribe is Subscribe of the store, not recorded.
func (d *DB) Subscribe(o db.FeedOptions) (*db.Feed, error) { return d.store.Subscribe(o) }

// Keyspace is a db.Keyspace whose operations are recorded. It may be used by any
// number of goroutines.
type Keyspace struct {
	reads
	writes
	conditionals
	k *db.Keyspace
}

// Unwrap is the keyspace itself. What is done to it is not recorded.
func (ks *Keyspace) Unwrap() *db.Keyspace { return ks.k }

func (ks *Keyspace) keyspace() uint32 { return ks.reads.scope.keyspace }

// Name is the keyspace's name; empty for the default one.
func (ks *Keyspace) Name() string { return ks.k.Name() }

// DefaultTTL is DefaultTTL of the keyspace.
func (ks *Keyspace) DefaultTTL() time.Duration { return ks.k.DefaultTTL() }

// PutIfAbsentTTL is PutIfAbsentTTL of the keyspace, recorded.
func (ks *Keyspace) PutIfAbsentTTL(key, value []byte, ttl time.Duration) (stored bool, err error) {
	start := ks.reads.scope.begin()
	stored, err = ks.k.PutIfAbsentTTL(key, value, ttl)
	ks.reads.scope.timed(KindPutIfAbsentTTL, start, key, len(value), ttl, stored, err)
	return stored, err
}

// Compact is Compact of the keyspace, not recorded.
func (ks *Keyspace) Compact(ctx context.Context, r db.Range) error { return ks.k.Compact(ctx, r) }

// Estimate is Estimate of the keyspace, not recorded.
func (ks *Keyspace) Estimate(r db.Range) (db.Estimate, error) { return ks.k.Estimate(r) }

// Sequence is Sequence of the keyspace, not recorded.
func (ks *Keyspace) Sequence(key []byte, lease uint64) (*db.Sequence, error) {
	return ks.k.Sequence(key, lease)
}

// Snapshot is a db.Snapshot whose reads are recorded. It may be used by any
// number of goroutines.
type Snapshot struct {
	reads
	s *db.Snapshot
}

// Unwrap is the snapshot itself. What is read from it is not recorded.
func (s *Snapshot) Unwrap() *db.Snapshot { return s.s }

// In reads another keyspace as of the snapshot.
func (s *Snapshot) In(ks *Keyspace) StoreReader {
	in := s.scope
	in.keyspace = ks.keyspace()
	return &reads{in, s.s.In(ks.k)}
}

// Seq is the sequence number of the snapshot.
func (s *Snapshot) Seq() uint64 { return s.s.Seq() }

// Close releases the snapshot.
func (s *Snapshot) Close() error { return s.s.Close() }

var (
	_ StoreReader = (*DB)(nil)
	_ StoreReader = (*Tx)(nil)
	_ db.Writer   = (*DB)(nil)
	_ db.Writer   = (*Keyspace)(nil)
	_ db.Writer   = (*Batch)(nil)
	_ db.Writer   = (*Tx)(nil)
)
