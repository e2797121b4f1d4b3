package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// behindOthers is a commit to key, followed by so many to other keys that the log
// of recent commits has moved it to its older half, and by last, which was
// checked against the tree before all of them.
func behindOthers(t *testing.T, store *DB, key string, value []byte, last func() error) error {
	t.Helper()
	must(t, store.pipeline.Exclusive(func() error { store.w.recent.max = 3 * recentOpBytes; return nil }))
	commits := []func() error{func() error { return store.Put(bs(key), value) }}
	for i := range 3 {
		commits = append(commits, func() error { return store.Put(fmt.Append(nil, i), nil) })
	}
	errs := heldUp(t, store, append(commits, last)...)
	must(t, errs[:len(commits)]...)
	must(t, store.pipeline.Exclusive(func() error {
		l := &store.w.recent
		if n := len(l.older.ops); n == 0 || string(l.older.arena[:len(key)]) != key {
			t.Errorf("the older half has %d operations", n)
		}
		return nil
	}))
	return errs[len(commits)]
}

func TestATransactionMeetsWhatTheLogHasMovedToItsOlderHalf(t *testing.T) {
	for name, read := range map[string]func(*Tx) error{
		"key":   func(tx *Tx) error { _, err := tx.Has(bs("k")); return err },
		"range": func(tx *Tx) error { keysOf(t, tx, Between(bs("j"), bs("l"))); return nil },
	} {
		t.Run(name, func(t *testing.T) {
			store := openMem(t, vfs.NewMem(), txOptions())
			defer closeDB(t, store)
			tx := mustTx(t, store, TxOptions{})
			must(t, read(tx), tx.Put(bs("mine"), nil))
			if err := behindOthers(t, store, "k", nil, tx.Commit); !errors.Is(err, ErrConflict) {
				t.Errorf("commit: %v, want %v", err, ErrConflict)
			}
		})
	}
}

func TestAConditionalWriteMeetsWhatTheLogHasMovedToItsOlderHalf(t *testing.T) {
	store := openMem(t, vfs.NewMem(), txOptions())
	defer closeDB(t, store)
	// Keeps the log of recent commits on.
	tx := mustTx(t, store, TxOptions{})
	get("k")(t, tx, nil)
	var sum int64
	must(t, behindOthers(t, store, "k", CounterBytes(100), func() (err error) {
		sum, err = store.Add(bs("k"), 1)
		return err
	}))
	wantValue(t, store, bs("k"), binary.LittleEndian.AppendUint64(nil, 101))
	if sum != 101 {
		t.Errorf("sum %d", sum)
	}
}
