package main

import (
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

const (
	// scanRun is how many entries of a scan share one reading of the clock.
	scanRun = 64
	// seekEntries is how many entries seekrandom reads after each seek.
	seekEntries = 10
)

// readRandom gets random keys.
func readRandom(w *worker) error {
	for n := 0; n < w.operations && !w.stopped.Load(); n++ {
		i := w.random.IntN(w.model.keys())
		w.key = appendKey(w.key[:0], presentNumber(i))
		atLeast := w.model.acknowledged[i].Load()
		began := time.Now()
		value, err := w.points.AppendGet(w.value[:0], w.key)
		took := time.Since(began)
		if err := w.model.checkGet(i, atLeast, value, err); err != nil {
			return err
		}
		w.value = value
		w.record(took, len(w.key)+len(value))
	}
	return nil
}

// readMissing gets keys that were never put.
func readMissing(w *worker) error {
	for n := 0; n < w.operations && !w.stopped.Load(); n++ {
		number := missingNumber(w.random.IntN(w.model.keys()))
		w.key = appendKey(w.key[:0], number)
		began := time.Now()
		value, err := w.points.AppendGet(w.value[:0], w.key)
		took := time.Since(began)
		if err := checkMissing(number, value, err); err != nil {
			return err
		}
		w.record(took, len(w.key))
	}
	return nil
}

func readForward(w *worker) error  { return w.scanShare(1) }
func readBackward(w *worker) error { return w.scanShare(-1) }

// scanShare scans the worker's part of the keys until its operations are done.
func (w *worker) scanShare(step int) error {
	keys := w.model.keys()
	low, high := keys*w.index/w.threads, keys*(w.index+1)/w.threads
	if low == high {
		return nil
	}
	for w.done.Load() < uint64(w.operations) && !w.stopped.Load() {
		if err := w.scanOnce(low, high, step); err != nil {
			return err
		}
	}
	return nil
}

// scanOnce scans keys [low, high) and checks each entry.
func (w *worker) scanOnce(low, high, step int) error {
	r := db.Between(appendKey(nil, presentNumber(low)), appendKey(nil, presentNumber(high)))
	steps := walk{model: w.model, next: low, end: high, step: 1}
	if step < 0 {
		r = r.Backward()
		steps = walk{model: w.model, next: high - 1, end: low - 1, step: -1}
	}
	run, bytes, began := 0, 0, time.Now()
	for item, err := range w.store.Scan(r) {
		if err != nil {
			return fmt.Errorf("scanning: %w", err)
		}
		value, err := item.Value()
		if err != nil {
			return fmt.Errorf("scanning: value of key %q: %w", item.Key(), err)
		}
		if err := steps.see(item.Key(), value); err != nil {
			return err
		}
		bytes += keyBytes + len(value)
		if run++; run == scanRun {
			now := time.Now()
			w.recordMany(now.Sub(began), bytes, run)
			run, bytes, began = 0, 0, now
			if w.stopped.Load() {
				return nil
			}
		}
	}
	if run > 0 {
		w.recordMany(time.Since(began), bytes, run)
	}
	return steps.finish()
}

// seekRandom opens a cursor at a random place and reads some entries.
func seekRandom(w *worker) error {
	for n := 0; n < w.operations && !w.stopped.Load(); n++ {
		number := uint64(w.random.IntN(2 * w.model.keys())) // half of them missing
		began := time.Now()
		bytes, err := w.seekOnce(number)
		if err != nil {
			return err
		}
		w.record(time.Since(began), bytes)
	}
	return nil
}

func (w *worker) seekOnce(number uint64) (bytes int, err error) {
	cursor, err := w.store.NewCursor(db.All())
	if err != nil {
		return 0, fmt.Errorf("opening a cursor: %w", err)
	}
	defer func() {
		if closeErr := cursor.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("closing a cursor: %w", closeErr)
		}
	}()
	w.key = appendKey(w.key[:0], number)
	first := int((number + 1) / 2)
	steps := walk{model: w.model, next: first, end: w.model.keys(), step: 1}
	valid := cursor.SeekGE(w.key)
	for n := 0; n < seekEntries; n++ {
		if !valid {
			if err := cursor.Err(); err != nil {
				return 0, fmt.Errorf("seeking key %q: %w", w.key, err)
			}
			return bytes, steps.finish()
		}
		value, err := cursor.Value()
		if err != nil {
			return 0, fmt.Errorf("value of key %q: %w", cursor.Key(), err)
		}
		if err := steps.see(cursor.Key(), value); err != nil {
			return 0, err
		}
		bytes += keyBytes + len(value)
		valid = cursor.Next()
	}
	return bytes, nil
}
