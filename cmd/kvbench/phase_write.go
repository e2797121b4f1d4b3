package main

import (
	"fmt"
	"time"
)

// put writes key i once more.
func (w *worker) put(i int) error {
	number := presentNumber(i)
	version := w.model.issue(i)
	w.key = appendKey(w.key[:0], number)
	w.value = w.model.appendValue(w.value[:0], number, version)
	began := time.Now()
	if err := w.points.Put(w.key, w.value); err != nil {
		return fmt.Errorf("putting key %q: %w", w.key, err)
	}
	took := time.Since(began)
	w.model.acknowledge(i, version)
	w.record(took, len(w.key)+len(w.value))
	return nil
}

// fillSequential puts keys in ascending order; workers take turns.
func fillSequential(w *worker) error {
	for n := 0; n < w.operations && !w.stopped.Load(); n++ {
		if err := w.put(n*w.threads + w.index); err != nil {
			return err
		}
	}
	return nil
}

// fillRandom puts every key once; workers take turns in one random order.
func fillRandom(w *worker) error {
	order := newPermutation(w.model.keys(), w.model.seed)
	for n := 0; n < w.operations && !w.stopped.Load(); n++ {
		if err := w.put(order.at(n*w.threads + w.index)); err != nil {
			return err
		}
	}
	return nil
}

// overwrite puts random keys. Each worker has its own keys, every threads-th
// one, so that a key has one writer.
func overwrite(w *worker) error {
	own := share(w.model.keys(), w.index, w.threads)
	for n := 0; n < w.operations && !w.stopped.Load() && own > 0; n++ {
		if err := w.put(w.random.IntN(own)*w.threads + w.index); err != nil {
			return err
		}
	}
	return nil
}

// writePaced puts random keys at the job's rate until the readers end. It is
// the only writer. A writer that falls behind catches up without pause.
func writePaced(w *worker) error {
	began := time.Now()
	for n := 0; !w.ended.Load() && !w.stopped.Load(); n++ {
		due := time.Duration(float64(n) / float64(w.writeRate) * float64(time.Second))
		// Timers are not finer than this: sleep seldom, for several operations.
		if ahead := due - time.Since(began); ahead > time.Millisecond {
			time.Sleep(min(ahead, 10*time.Millisecond))
			n-- // look again: the readers may have ended
			continue
		}
		if err := w.put(w.random.IntN(w.model.keys())); err != nil {
			return err
		}
	}
	return nil
}
