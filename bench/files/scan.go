package files

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/workload"
)

func isWrong(err error) bool {
	_, ok := errors.AsType[*workload.WrongAnswer](err)
	return ok
}

// scan calls see for every entry of the store, ascending, with how long getting
// to it took.
func scan(ctx context.Context, store engine.Store, see func(key, value []byte, took time.Duration) error) (err error) {
	cursor, err := store.NewCursor(engine.CursorOptions{})
	if err != nil {
		return fmt.Errorf("opening a cursor: %w", err)
	}
	defer func() { err = errors.Join(err, cursor.Close()) }()
	began := time.Now()
	for ok := cursor.First(); ok; ok = cursor.Next() {
		value, err := cursor.Value()
		if err != nil {
			return fmt.Errorf("scanning: value of %q: %w", cursor.Key(), err)
		}
		if err := see(cursor.Key(), value, time.Since(began)); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		began = time.Now()
	}
	if err := cursor.Err(); err != nil {
		return fmt.Errorf("scanning: %w", err)
	}
	return nil
}

// compareByScan walks store and tree side by side: same paths, same bytes.
func (f *run) compareByScan(ctx context.Context, p *result.Phase) error {
	w := &worker{}
	defer f.watch(p.Workload, f.Tree.Len(), []*worker{w})()
	began, next := time.Now(), 0
	err := scan(ctx, f.store, func(key, value []byte, took time.Duration) error {
		w.record(took, len(key)+len(value))
		next++
		return f.Tree.seeFile(next-1, key, value)
	})
	if err == nil && next < f.Tree.Len() {
		err = wrong(f.Tree.paths[next], "the scan ended before it")
	}
	p.Threads = 1
	sum(p, result.Kind{Name: "scan", Class: result.Scan}, time.Since(began), w)
	p.Verified = p.Operations
	if err == nil {
		p.Notes = append(f.Tree.oddities(), "every byte of every file was compared, by point reads and by this scan: all right",
			"rates include reading the files, latencies do not")
	}
	return err
}

// seeFile checks one entry of a scan of everything: the next-th.
func (t *Tree) seeFile(next int, key, value []byte) error {
	if next >= t.Len() {
		return wrong(string(key), "the scan shows it after the last file")
	}
	if want := t.paths[next]; string(key) != want {
		return wrong(string(key), fmt.Sprintf("the scan shows it where %q must come", want))
	}
	return t.compare(string(key), value)
}
