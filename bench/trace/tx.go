package trace

import (
	"context"
	"errors"

	"github.com/cordwood-db/cordwood/db"
)

// Tx is a db.Tx that is recorded when it ends, with what it has read and
// written. It and its views by In are used by one goroutine at a time.
type Tx struct {
	reads
	writes
	conditionals
	t   *db.Tx
	log *txLog
}

// txLog is what a transaction has done so far.
type txLog struct {
	itemLog
	r       *Recorder
	op      Op
	cursors []*Cursor
	managed bool
	over    bool
}

func (l *txLog) add(op *Op) {
	if !l.over {
		l.itemLog.add(op)
	}
}

// end records the transaction, once.
func (l *txLog) end(outcome TxOutcome, class ErrorClass) {
	if l.over {
		return
	}
	for _, c := range l.cursors {
		c.end()
	}
	l.over = true
	l.op.Tx.Outcome, l.op.Error, l.op.Cut = outcome, class, l.cut
	l.r.record(&l.op, l.enc.buf, l.n)
}

// outcomeOf is how a commit ended.
func outcomeOf(err error) (TxOutcome, ErrorClass) {
	switch class := classOf(err); {
	case err == nil:
		return TxCommitted, ErrorNone
	case class == ErrorConflict:
		return TxConflict, ErrorNone
	default:
		return TxFailed, class
	}
}

func (d *DB) newLog(o db.TxOptions, try uint64, managed bool) *txLog {
	return &txLog{r: d.r, managed: managed, op: Op{
		Kind: KindTransaction, Client: d.client, Start: d.r.now(), Sync: o.Durability == db.Sync,
		Tx: TxInfo{ReadOnly: o.ReadOnly, SnapshotIsolation: o.Isolation == db.SnapshotIsolation, Try: try},
	}}
}

func newTx(t *db.Tx, log *txLog, keyspace uint32) *Tx {
	s := scope{r: log.r, log: log, client: log.op.Client, keyspace: keyspace}
	return &Tx{reads{s, t}, writes{s, t}, conditionals{s, t}, t, log}
}

// Unwrap is the transaction itself. What is done in it is not recorded, its end
// included.
func (t *Tx) Unwrap() *db.Tx { return t.t }

// In is the same transaction seen through another keyspace.
func (t *Tx) In(ks *Keyspace) *Tx { return newTx(t.t.In(ks.k), t.log, ks.keyspace()) }

// GetForUpdate is GetForUpdate of the transaction.
func (t *Tx) GetForUpdate(key []byte) ([]byte, error) {
	value, err := t.t.GetForUpdate(key)
	t.reads.scope.point(KindGetForUpdate, 0, key, len(value), true, err)
	return value, err
}

// Commit is Commit of the transaction.
func (t *Tx) Commit() error {
	err := t.t.Commit()
	if !t.log.managed && !errors.Is(err, db.ErrTxDone) {
		t.log.end(outcomeOf(err))
	}
	return err
}

// Discard is Discard of the transaction.
func (t *Tx) Discard() {
	t.t.Discard()
	t.log.end(TxDiscarded, ErrorNone)
}

// Begin is Begin of the store.
func (d *DB) Begin(o db.TxOptions) (*Tx, error) {
	log := d.newLog(o, 0, false)
	t, err := d.store.Begin(o)
	if err != nil {
		log.end(TxFailed, classOf(err))
		return nil, err
	}
	return newTx(t, log, 0), nil
}

// Update is Update of the store. Each try is recorded.
func (d *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return d.UpdateWith(ctx, db.TxOptions{}, fn)
}

// UpdateWith is UpdateWith of the store. Each try is recorded.
func (d *DB) UpdateWith(ctx context.Context, o db.TxOptions, fn func(tx *Tx) error) error {
	return d.managed(o, fn, func(inner func(*db.Tx) error) error { return d.store.UpdateWith(ctx, o, inner) })
}

// View is View of the store, recorded as a read-only transaction.
func (d *DB) View(fn func(tx *Tx) error) error {
	return d.managed(db.TxOptions{ReadOnly: true}, fn, d.store.View)
}

// managed has carry run fn in transactions, and records them.
func (d *DB) managed(o db.TxOptions, fn func(tx *Tx) error, carry func(func(*db.Tx) error) error) error {
	var log *txLog
	var own error // of fn, in the last try
	returned := false
	defer func() {
		if log != nil && !returned { // fn has panicked
			log.end(TxDiscarded, ErrorNone)
		}
	}()
	tries := uint64(0)
	start := d.r.now()
	err := carry(func(t *db.Tx) error {
		if log != nil {
			log.end(TxConflict, ErrorNone)
		}
		log = d.newLog(o, tries, true)
		tries++
		own = fn(newTx(t, log, 0))
		return own
	})
	returned = true
	switch {
	case log == nil:
		log = d.newLog(o, 0, true)
		log.op.Start = start
		log.end(TxFailed, classOf(err))
	case own != nil:
		log.end(TxDiscarded, ErrorNone)
	default:
		log.end(outcomeOf(err))
	}
	return err
}
