package db

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// Update runs fn in a transaction and commits it, with the default options. See
// UpdateWith.
func (db *DB) Update(ctx context.Context, fn func(tx *Tx) error) error {
	return db.UpdateWith(ctx, TxOptions{}, fn)
}

// UpdateWith runs fn in a transaction and commits what it has written. If that
// meets a conflict, it waits for a moment and starts again, with a new
// transaction, up to TxOptions.TriesMax times and as long as ctx lives: fn must
// be able to run more than once, and should have no effect besides its writes
// to the transaction. The error then wraps the last ErrConflict (or
// ErrTxTooOld).
//
// An error of fn discards the transaction and is returned as it is. A panic
// discards it and goes on. fn may use the store and other transactions; it must
// not commit this one itself, nor use it once it has returned.
func (db *DB) UpdateWith(ctx context.Context, o TxOptions, fn func(tx *Tx) error) error {
	triesMax := o.TriesMax
	if triesMax <= 0 {
		triesMax = txTriesDefault
	}
	var conflict error
	for try := range triesMax {
		if err := backOff(ctx, try); err != nil {
			if conflict != nil {
				err = fmt.Errorf("%w after %d tries: %w", err, try, conflict)
			}
			return err
		}
		err, again := db.attempt(o, fn)
		if !again {
			return err
		}
		conflict = err
	}
	return fmt.Errorf("gave up after %d tries: %w", triesMax, conflict)
}

// txTriesDefault is TxOptions.TriesMax if it is not given.
const txTriesDefault = 100

// View runs fn in a read-only transaction: on the store as it is when View is
// called, in all its keyspaces. It returns fn's error.
func (db *DB) View(fn func(tx *Tx) error) error {
	err, _ := db.attempt(TxOptions{ReadOnly: true}, fn)
	return err
}

// attempt runs fn in a transaction once. again says that the error is one of
// the commit that may not come again.
func (db *DB) attempt(o TxOptions, fn func(tx *Tx) error) (err error, again bool) {
	t, err := db.begin(o, nil)
	if err != nil {
		return err, false
	}
	defer t.root.finish()
	if err := fn(t); err != nil {
		return err, false
	}
	err = t.root.commit()
	if !errors.Is(err, ErrConflict) && !errors.Is(err, ErrTxTooOld) {
		return err, false
	}
	// Until what it was refused for is visible, which may take a sync, the next
	// try would read the old state again. The end of a wait that is in vain is
	// the next try's to report.
	_ = db.awaitVisible(t.root.reach)
	return err, true
}

// The pause before the n-th try is random, up to 2^n times backOffMin.
const (
	backOffMin = 10 * time.Microsecond
	backOffMax = 10 * time.Millisecond
)

// backOff waits before a try, the first of which has number 0. Whoever lost a
// race waits for a random time, so that the same do not race again; the first
// time not at all, since the winner is done already.
func backOff(ctx context.Context, try int) error {
	if err := ctx.Err(); err != nil || try < 2 {
		return err
	}
	limit := min(backOffMin<<min(try, 20), backOffMax)
	timer := time.NewTimer(rand.N(limit))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
