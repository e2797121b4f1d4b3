package db

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Errors of transactions.
var (
	// ErrConflict says that a transaction was not committed because another
	// commit changed what it relies on. Nothing of it is visible; doing it
	// again may succeed. Update does so by itself.
	ErrConflict = errors.New("cordwood: transaction conflict")
	// ErrTxTooOld says that a transaction was not committed because it could
	// not be checked: so much was committed, again and again, while it was
	// being checked that its checks never caught up. Update tries again.
	ErrTxTooOld = errors.New("cordwood: transaction is too old to be checked")
	// ErrTxDone says that the transaction was committed or discarded before.
	ErrTxDone = errors.New("cordwood: transaction is done")
	// ErrTxReadOnly says that a read-only transaction takes no writes.
	ErrTxReadOnly = errors.New("cordwood: transaction is read-only")
)

var (
	errTxManaged = errors.New("cordwood: Commit inside Update or View: return nil from the function instead")
	errTxShared  = errors.New("cordwood: transaction used by two goroutines at once")
)

// Isolation is what a transaction is guarded against.
type Isolation uint8

const (
	// Serializable, the default: the outcome is as if the transactions that
	// committed had run one after the other. What a transaction has read must
	// still be so when it commits, keys that were missing and ranges that were
	// scanned included.
	Serializable Isolation = iota
	// SnapshotIsolation: two transactions that ran at the same time do not both
	// write the same key; the first to commit wins. What was only read is not
	// checked, so that two transactions may each rely on what the other changes
	// ("write skew"), except what was read with GetForUpdate. Merges do not
	// conflict with each other.
	SnapshotIsolation
)

// TxOptions are the settings of one transaction. The zero value is good.
type TxOptions struct {
	// ReadOnly makes a transaction that takes no writes. It keeps no account
	// of what it reads, never conflicts and waits for nobody.
	ReadOnly bool
	// Isolation of a transaction that writes.
	Isolation Isolation
	// Durability of the commit.
	Durability Durability
	// TriesMax is how often Update runs its function at most. 0 means 100.
	TriesMax int
}

// Tx is a transaction: it reads the store as it was when the transaction began,
// together with the transaction's own writes, and commits all its writes or
// none. Its methods read and write the default keyspace; In gives it for
// others.
//
// Nothing is locked and nobody waits: what the transaction relies on is checked
// when it commits, and if another commit has changed it, the commit fails with
// ErrConflict. A transaction that has written nothing always commits.
//
// Values expire while a transaction runs, by the time of each call, and that is
// no conflict; nor is what a CompactionFilter does meanwhile, which the
// transaction does not get to see.
//
// Transactions are bounded by MaxBatchBytes, not by memtables. What was read is
// remembered key by key in up to 16 MiB; beyond that, neighbouring keys are
// taken together as ranges, so that writes between them are conflicts too.
//
// A Tx and its cursors are used by one goroutine at a time, while the store may
// be closed by another. It holds back old versions from being reclaimed, as a Snapshot does:
// end it soon, with Commit or Discard.
type Tx struct {
	root *txRoot
	ks   *Keyspace
}

// txRoot is what all the views of a transaction share. It is never used for
// another transaction, so that a Tx which is used after its end finds out; what
// can be used again is in the core.
type txRoot struct {
	tx      Tx // the view of the default keyspace
	managed bool
	use     atomic.Uint32 // txIdle, txBusy, txOver
	core    *txCore       // whoever has made use busy may touch it; nil when over
	reach   base.SeqNum   // of a commit that was refused: what to see before trying again
}

const (
	txIdle uint32 = iota
	txBusy
	txOver
)

// txCore is the inner state of a transaction. It comes from a pool.
type txCore struct {
	// Immutable while the transaction is open.
	db     *DB
	opts   TxOptions
	seq    base.SeqNum // it reads as of this
	began  time.Time
	handle *handle // where it began; nil if it ends by itself

	closed atomic.Bool // by DB.Close
	pin    pin

	// Guarded by registry.mu.
	prev, next *txCore
	listed     uint64 // registry.listed when it began

	// The transaction's.
	own     ownWrites
	read    readSet
	cursors []*Cursor // that are open
	check   txCheck   // of its commit
}

var txCores = sync.Pool{New: func() any { return new(txCore) }}

// Begin opens a transaction. End it with Commit or Discard: one that is open
// when the store is closed is reported as a Leak. Update and View are easier to
// use right.
func (db *DB) Begin(o TxOptions) (*Tx, error) {
	return db.begin(o, newHandle(2))
}

// begin opens a transaction; where is nil for one that ends by itself.
func (db *DB) begin(o TxOptions, where *handle) (*Tx, error) {
	if o.Isolation > SnapshotIsolation {
		return nil, fmt.Errorf("%w: Isolation %d is unknown", errOptions, o.Isolation)
	}
	if db.state.Load() == nil {
		return nil, ErrClosed
	}
	if !o.ReadOnly {
		if err := db.readOnlyErr(); err != nil {
			return nil, err
		}
		db.openTxs.Add(1) // before its sequence number is taken: see screen
	}
	c := txCores.Get().(*txCore)
	c.db, c.opts, c.handle, c.began = db, o, where, time.Now()
	c.closed.Store(false)
	r := &txRoot{core: c, managed: where == nil}
	r.tx = Tx{r, db.main}
	if !db.opened.addTx(c) || c.closed.Load() || db.state.Load() == nil {
		r.finish() // DB.Close may have missed it
		return nil, ErrClosed
	}
	if c.seq >= ownSeqMin {
		r.finish()
		return nil, errOwnSeq
	}
	return &r.tx, nil
}

// In is the same transaction seen through another keyspace. Any of its views
// ends all of them.
func (t *Tx) In(ks *Keyspace) *Tx { return &Tx{t.root, ks} }

// enter claims the transaction for one call; leave gives it back.
func (t *Tx) enter() (*txCore, error) {
	r, store := t.root, t.ks.db // a nil Keyspace panics before anything is claimed
	if !r.use.CompareAndSwap(txIdle, txBusy) {
		if r.use.Load() == txOver {
			return nil, ErrTxDone
		}
		return nil, errTxShared
	}
	var err error
	switch c := r.core; {
	case c.closed.Load():
		err = ErrClosed
	case store != c.db:
		err = errForeignKeyspace
	default:
		return c, nil
	}
	r.use.Store(txIdle)
	return nil, err
}

func (t *Tx) leave() { t.root.use.Store(txIdle) }

// Commit makes the transaction's writes visible, all at once, and ends it. On
// an error, ErrConflict above all, nothing of it is visible; only after a
// failure to sync, which also makes the store read-only, is it unknown whether
// it will be there after the next open. In Update and View it is not called:
// there, returning nil commits.
func (t *Tx) Commit() error {
	if t.root.managed {
		return errTxManaged
	}
	return t.root.commit()
}

// commit is Commit.
func (r *txRoot) commit() error {
	c, err := r.tx.enter()
	if err != nil {
		return err
	}
	defer r.finish()
	defer r.tx.leave()
	err = c.commit()
	r.reach = c.check.reach
	return err
}

// Discard ends the transaction without a trace. After Commit, or another
// Discard, it does nothing. In the function of Update it makes Update return
// ErrTxDone, unless the function returns an error of its own.
func (t *Tx) Discard() { t.root.finish() }

// finish ends the transaction, once. It waits for a call in progress.
func (r *txRoot) finish() {
	for !r.use.CompareAndSwap(txIdle, txOver) {
		if r.use.Load() == txOver {
			return
		}
		pause()
	}
	c := r.core
	r.core = nil
	db := c.db
	c.closeCursors()
	if !c.opts.ReadOnly {
		db.openTxs.Add(-1)
	}
	if db.opened.removeTx(c) && time.Since(c.began) > txBriefMax {
		// What it held back may now be compacted away.
		db.broadcast()
	}
	c.pin.drop(db)
	c.reset()
	txCores.Put(c)
}

// txBriefMax is how long a transaction may take before it is worth looking for
// work that it held up. Looking costs more than most transactions.
const txBriefMax = 100 * time.Millisecond

// reset drops what the core holds but memory to be used again.
func (c *txCore) reset() {
	c.own.reset()
	c.read.reset()
	clear(c.cursors)
	c.cursors = c.cursors[:0]
	clear(c.check.spaces)
	c.db, c.handle = nil, nil
}
