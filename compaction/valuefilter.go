package compaction

import (
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/cordwood-db/cordwood/internal/base"
)

// Filter is a compaction filter: the user's say about values while tables are
// written anyhow. doc.go lists what it is asked about and what comes of it.
//
// When it is asked, and how often, depends on how the tree is compacted: a
// value may be asked about in many runs or in none, so that the answer should
// depend on the entry and on things that do not change back.
type Filter interface {
	// Begin is called once for each run that writes tables, by several
	// goroutines at a time if runs overlap. The function that it returns is
	// called by one goroutine at a time, with ascending keys, so that it may
	// keep state. nil leaves this run alone.
	Begin(run FilterRun) FilterFunc
}

// FilterRun describes a run to Filter.Begin.
type FilterRun struct {
	Flush       bool // memtables are written, not tables merged
	OutputLevel int  // that the tables are for
	// Bottom: the output is the deepest level that has keys of its range.
	// Always false for a flush.
	Bottom bool
}

// FilterFunc decides about one value. It must not call the store, and fails the
// run with an error: nothing has happened then, and the run will be tried again.
// A panic is such an error too, a *FilterError. (A store writes memtables without
// a filter that has failed, since writers wait for that.)
type FilterFunc func(e *FilterEntry) (Decision, error)

// Decision is what shall become of a value.
type Decision uint8

const (
	// Keep leaves the value as it is.
	Keep Decision = iota
	// Drop deletes the value as of its own sequence number: what is newer
	// stays, what is older does not show again.
	Drop
	// Change puts FilterEntry.Replace in the value's place. Its expiry stays.
	Change
)

// FilterEntry is a value to decide about. It and its slices are valid until
// the FilterFunc returns, and must not be changed; only Replace may be set.
type FilterEntry struct {
	Key []byte
	// ExpiresAt is when the value expires, in nanoseconds since 1970; 0 never.
	ExpiresAt uint64
	// Replace is the new value for Change, of at most 1 GiB; nil is an empty
	// one. It may alias Value, and memory that the next call reuses.
	Replace []byte

	seq    base.SeqNum
	value  []byte
	atHand bool // value is the value
	ptr    base.Pointer
	read   func(key []byte, seq base.SeqNum, p base.Pointer) ([]byte, error)
	loaded int   // bytes of values that were read
	failed error // of reading the value
}

// ValueSize is the length of the value in bytes. It costs nothing.
func (e *FilterEntry) ValueSize() int {
	if e.atHand {
		return len(e.value)
	}
	return int(e.ptr.ValueLen)
}

// Value returns the value. One that is in the value log is read by the first
// call. After an error it does not matter what the filter decides: a damaged
// value is kept as it is, for reads to report; any other error fails the run.
func (e *FilterEntry) Value() ([]byte, error) {
	if !e.atHand && e.failed == nil {
		e.value, e.failed = e.load()
		e.atHand = e.failed == nil
	}
	return e.value, e.failed
}

var (
	errNoEntry       = errors.New("compaction: an entry is used after the filter's return")
	errValueTooLarge = errors.New("pointer to a value over the limit")
	errNoReadValue   = errors.New("compaction: no way to read the value log for the filter")
)

func (e *FilterEntry) load() ([]byte, error) {
	switch {
	case e.Key == nil && e.ptr == base.Pointer{}:
		return nil, errNoEntry
	case e.read == nil:
		return nil, errNoReadValue
	}
	value, err := e.read(e.Key, e.seq, e.ptr)
	if err != nil {
		return nil, fmt.Errorf("compaction: read a value for the filter: %w", err)
	}
	if uint64(len(value)) != uint64(e.ptr.ValueLen) {
		return nil, base.Corruptf(base.FileName(base.FileVlog, uint64(e.ptr.File)), int64(e.ptr.Offset),
			"value of %d bytes, but its pointer says %d", len(value), e.ptr.ValueLen)
	}
	e.loaded = len(value)
	return value[:len(value):len(value)], nil
}

// FilterError says that a Filter failed or panicked. Nothing is lost: the run's
// inputs are as they were.
type FilterError struct {
	Err   error  // what the filter returned; nil if it panicked
	Panic any    // what it panicked with, nil if it did not
	Stack []byte // of the panic
}

// Error implements error.
func (e *FilterError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("compaction filter panicked: %v", e.Panic)
	}
	return "compaction filter: " + e.Err.Error()
}

// Unwrap returns Err.
func (e *FilterError) Unwrap() error { return e.Err }

// valueFilter asks a Filter in one run.
type valueFilter struct {
	decide FilterFunc
	read   func(key []byte, seq base.SeqNum, p base.Pointer) ([]byte, error)
	from   int // the first stripe of which it is asked
	entry  FilterEntry
	loaded int    // bytes of values read and not yet told to tick
	buf    []byte // for a changed payload
}

// newValueFilter returns nil if nobody wants to be asked.
func newValueFilter(env *Env, p WriteParams, st stripes) (*valueFilter, error) {
	if env.Filter == nil {
		return nil, nil
	}
	run := FilterRun{Flush: true, OutputLevel: p.LevelHint}
	if p.filterRun != nil {
		run = *p.filterRun
	}
	v := &valueFilter{read: env.ReadValue, from: firstAsked(st, env.FilterAbove)}
	err := guard(func() error {
		v.decide = env.Filter.Begin(run)
		return nil
	})
	if err != nil || v.decide == nil {
		return nil, err
	}
	return v, nil
}

// firstAsked is the first stripe with sequence numbers above those of snapshots
// whose readers a filter must not disturb.
func firstAsked(st stripes, above *base.SeqNum) int {
	if above == nil {
		return len(st.snapshots)
	}
	return st.of(*above + 1)
}

// guard calls the user's code. What goes wrong in it is a *FilterError.
func guard(fn func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &FilterError{Panic: r, Stack: debug.Stack()}
		}
	}()
	if err := fn(); err != nil {
		return &FilterError{Err: err}
	}
	return nil
}

// asks reports whether the value that f is about to hand on is one to ask
// about: one that no snapshot sees whose readers stay, with nothing of its key
// above it.
func (v *valueFilter) asks(f *filter, stripe int) bool {
	return stripe >= v.from && !f.emitted && !f.hasTomb
}

// consult asks about a value, and returns what to hand on in its place. After
// Drop that is nothing: a tombstone waits.
func (f *filter) consult(t base.Trailer, payload []byte) (base.Trailer, []byte, error) {
	v := f.values
	kind := t.Kind()
	expiry, value, err := base.SplitPayload(kind, payload)
	if err != nil {
		return t, nil, malformed(base.InternalKey{User: f.user, Trailer: t}, err)
	}
	// Capacities are cut, so that appending to a slice writes nowhere.
	v.entry = FilterEntry{Key: f.user[:len(f.user):len(f.user)], ExpiresAt: expiry, seq: t.SeqNum(), read: v.read}
	if kind.Op() == base.KindSetPointer {
		v.entry.ptr, err = base.DecodePointer(value)
		if err == nil && v.entry.ptr.ValueLen > mergedBytesMax {
			err = errValueTooLarge
		}
		if err != nil {
			return t, nil, malformed(base.InternalKey{User: f.user, Trailer: t}, err)
		}
	} else {
		v.entry.value, v.entry.atHand = value[:len(value):len(value)], true
	}
	d, replace, err := v.ask()
	if err != nil {
		return t, nil, err
	}
	if v.loaded >= tickBytes {
		n := v.loaded
		v.loaded = 0
		if err := f.tick(n); err != nil {
			return t, nil, err
		}
	}
	if d == Keep {
		return t, payload, nil
	}
	if err := f.discards.drop(kind, payload); err != nil {
		return t, nil, err
	}
	if d == Drop {
		f.stats.Filtered++
		f.tomb, f.hasTomb = base.MakeTrailer(t.SeqNum(), base.KindDelete), true
		return t, nil, nil
	}
	f.stats.Changed++
	kind = base.KindSet | kind&base.FlagExpiry
	if kind.HasExpiry() {
		if cap(v.buf) > mergeArenaKeptMax {
			v.buf = nil
		}
		v.buf = base.AppendPayload(v.buf[:0], kind, expiry, replace)
		replace = v.buf
	}
	return base.MakeTrailer(t.SeqNum(), kind), replace, nil
}

// damaged reports whether a value is not there any more, rather than only out
// of reach for now. A flush that failed for it would fail for ever.
func damaged(err error) bool {
	if _, ok := errors.AsType[*base.CorruptionError](err); ok {
		return true
	}
	_, ok := errors.AsType[*base.MissingFileError](err)
	return ok
}

// ask calls the filter for v.entry, and takes the entry away from it again. A
// value that could not be read comes before anything that the filter says, but
// for a failure of its own.
func (v *valueFilter) ask() (d Decision, replace []byte, err error) {
	e := &v.entry
	err = guard(func() error {
		var err error
		if d, err = v.decide(e); err != nil {
			return err
		}
		switch {
		case d > Change:
			return fmt.Errorf("unknown decision %d", d)
		case d == Change && len(e.Replace) > mergedBytesMax:
			return fmt.Errorf("new value of %d bytes, but %d is the limit", len(e.Replace), mergedBytesMax)
		}
		return nil
	})
	if fe, ok := errors.AsType[*FilterError](err); e.failed != nil && (err == nil || errors.Is(err, e.failed) || ok && fe.Panic != nil) {
		d, err = Keep, nil
		if !damaged(e.failed) {
			err = e.failed
		}
	}
	v.loaded += e.loaded
	replace = e.Replace
	*e = FilterEntry{}
	return d, replace, err
}
