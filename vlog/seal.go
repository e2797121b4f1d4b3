package vlog

import (
	"errors"
	"fmt"
)

// Sync flushes, then makes everything in the file durable. It returns the offset
// before which all records survive power loss. It may run beside Append; calls
// that wait for one another's fsync share it. A failed fsync is never retried:
// the writer refuses everything from then on.
func (w *Writer) Sync() (durable int64, err error) {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	return w.sync(w.flush)
}

// SyncFlushed is Sync without the flush: what is still buffered stays so. It
// does not fail for lack of space where only that has no room.
func (w *Writer) SyncFlushed() (durable int64, err error) {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	return w.sync(w.usable)
}

// sync needs syncMu. It does not hold mu during the fsync, but while it calls
// first.
func (w *Writer) sync(first func() error) (durable int64, err error) {
	w.mu.Lock()
	err = first()
	target, durable := w.a.written, w.durable.Load()
	w.mu.Unlock()
	if err != nil || target == durable {
		return durable, err
	}
	err = w.a.f.Sync()
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		err = fmt.Errorf("vlog: sync %s: %w", w.a.name, err)
		err = errors.Join(w.Failed(), err)
		w.failed.Store(&err)
		w.syncFailed = true
		return durable, err
	}
	w.durable.Store(target)
	return target, nil
}

// Seal flushes, syncs and closes the file, and says what it holds. After an
// error the file is still open: call Seal again (it can succeed where space was
// lacking), Abandon or Close. Appends that run beside Seal fail or are part of
// what it reports.
func (w *Writer) Seal() (Info, error) {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	for {
		durable, err := w.sync(w.flush)
		if err != nil {
			return Info{}, err
		}
		if info, done, err := w.finishAt(durable); done {
			return info, err
		}
	}
}

// Abandon is Seal for a writer that failed, or that cannot flush: what is still
// buffered is dropped, the file is cut back to its last whole record, synced and
// closed. Info covers the records that are left. They are exactly those whose
// Flush returned nil, and possibly later ones that nobody can point at.
//
// Abandon fails after a failed fsync, or if its own fsync or truncation fails:
// then only what is below Durable may be relied on, and the error says so. The
// file is closed in any case.
func (w *Writer) Abandon() (Info, error) {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return Info{}, w.usable()
	}
	if w.syncFailed {
		return Info{}, errors.Join(w.Failed(), w.close())
	}
	w.a.buf = nil
	w.a.all = w.a.whole
	err := w.a.f.Truncate(w.a.written)
	if err == nil {
		err = w.a.f.Sync()
		w.syncFailed = err != nil
	}
	if err != nil {
		err = fmt.Errorf("vlog: abandon %s: %w", w.a.name, err)
		w.failed.Store(&err)
		return Info{}, errors.Join(err, w.close())
	}
	w.durable.Store(w.a.written)
	w.size.Store(w.a.written)
	return w.finish(), nil
}

// Close releases the file without flushing or syncing anything. Closing twice,
// or after Seal or Abandon, does nothing.
func (w *Writer) Close() error {
	w.syncMu.Lock()
	defer w.syncMu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return nil
	}
	return w.close()
}

// finishAt finishes the file unless somebody appended past durable meanwhile.
func (w *Writer) finishAt(durable int64) (info Info, done bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.usable(); err != nil {
		return Info{}, true, err
	}
	if w.a.size() > durable {
		return Info{}, false, nil
	}
	return w.finish(), true, nil
}

// finish closes a file whose contents are complete and durable. So an error of
// the close says nothing that matters, and would keep a good file from being
// sealed: it cannot be closed again.
func (w *Writer) finish() Info {
	_ = w.close()
	return w.a.whole.info(w.a.written)
}

func (w *Writer) close() error {
	w.closed = true
	if err := w.a.f.Close(); err != nil {
		return fmt.Errorf("vlog: close %s: %w", w.a.name, err)
	}
	return nil
}
