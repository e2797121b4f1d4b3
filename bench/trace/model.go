package trace

import (
	"bytes"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cespare/xxhash/v2"
)

// fate is what is known of a version of a key.
type fate uint64

const (
	missing  fate = iota // there is no value
	exact                // the value of that version
	expiring             // the value of that version, until it expires
	merged               // operands on a value: the length is known
	anything             // operands on what may have expired
)

// word is a version of a key: its number, fate and length, in one word to be
// read at once.
type word uint64

const (
	versionMax = 1<<30 - 1
	// versionNever is of values that must not become visible.
	versionNever = versionMax
)

func newWord(version uint64, f fate, length int) word {
	return word(version&versionMax<<34 | uint64(f)<<31 | uint64(length))
}

func (w word) version() uint64 { return uint64(w >> 34) }
func (w word) fate() fate      { return fate(w >> 31 & 7) }
func (w word) length() int     { return int(w & (1<<31 - 1)) }

// entry is a key of the trace, and what must be in the store for it. Each of its
// versions is issued before it is written and acknowledged after; one at a time.
type entry struct {
	key  []byte // as in the store
	hash uint64

	issued, acked atomic.Uint64 // words
	removed       atomic.Uint32 // version of the last acknowledged removal
	epoch         atomic.Uint32 // number of scans begun when acked was set
	wrote, read   atomic.Uint32 // writes and reads that have ended
	expiry        atomic.Pointer[expiry]
	mixed         atomic.Bool // there were merges

	// The dispatcher's.
	writes, reads uint32 // that were handed over
	task          uint64 // the last one that writes it
	step          int32  // of that task
	preload       int32  // length to be loaded before; noPreload, anyLength
}

// expiry is when a value expires, about, from the beginning of the replay.
type expiry struct{ from, to time.Duration }

const (
	noPreload = -1
	anyLength = -2 // the trace does not tell
)

func newEntry(key []byte) *entry {
	return &entry{key: key, hash: mix(xxhash.Sum64(key)), preload: noPreload}
}

// expirySlack is how far engines may be off: see engine.Expirer.
const expirySlack = time.Second

// view is what a reader knew of a key before it read it.
type view struct {
	acked  word
	known  bool // acked is a lower bound
	before time.Duration
}

// view is that of a read that has not begun.
func (e *entry) view(now time.Duration) view { return view{word(e.acked.Load()), true, now} }

// seenBy is the view of a scan that began as number epoch, from the middle of it.
func (e *entry) seenBy(epoch uint32, before time.Duration) view {
	acked := word(e.acked.Load())
	return view{acked, e.epoch.Load() < epoch, before}
}

// certain reports whether the key must be there for a scan.
func (e *entry) certain(epoch uint32) bool {
	v := e.seenBy(epoch, 0)
	return v.known && word(e.issued.Load()) == v.acked && (v.acked.fate() == exact || v.acked.fate() == merged)
}

// checkMissing says why a key may not be missing; empty if it may.
func (e *entry) checkMissing(v view, now time.Duration) string {
	issued := word(e.issued.Load())
	for _, w := range []word{v.acked, issued} {
		switch w.fate() {
		case missing, anything:
			return ""
		case expiring:
			if x := e.expiry.Load(); x == nil || now >= x.from-expirySlack {
				return ""
			}
		}
	}
	between := issued.version() - v.acked.version()
	if !v.known || uint64(e.removed.Load()) >= v.acked.version() && between > 0 || between > 0 && e.expiry.Load() != nil {
		return ""
	}
	return fmt.Sprintf("not found, but version %d was written", v.acked.version())
}

// checkValue says why value is wrong; empty if it is right. scratch is memory.
func (e *entry) checkValue(v view, value []byte, scratch *[]byte) string {
	issued := word(e.issued.Load())
	for _, w := range []word{v.acked, issued} {
		if w.fate() == anything || w.fate() == merged && (w.length() == len(value) || !v.known) {
			return ""
		}
	}
	if issued.fate() == merged || v.acked.fate() == merged {
		return e.checkMerged(v, issued, value, scratch)
	}
	version, ok := e.identify(v, issued, value, scratch)
	switch {
	case !ok && e.mixed.Load() && (!v.known || issued.version()-v.acked.version() > 1):
		return "" // a version with operands on it that is not known any more
	case !ok:
		return fmt.Sprintf("%d bytes that nobody has written", len(value))
	case version > issued.version():
		return fmt.Sprintf("version %d, which was not written", version)
	case v.known && version < v.acked.version():
		return fmt.Sprintf("stale: version %d, after version %d", version, v.acked.version())
	}
	for _, w := range []word{v.acked, issued} {
		if w.version() != version {
			continue
		}
		if w.fate() == missing {
			return fmt.Sprintf("version %d is a removal, but there is a value", version)
		}
		if w.length() != len(value) {
			return fmt.Sprintf("version %d has %d bytes in place of %d", version, len(value), w.length())
		}
		if x := e.expiry.Load(); w.fate() == expiring && x != nil && v.before > x.to+expirySlack {
			return fmt.Sprintf("version %d, which has expired", version)
		}
	}
	return ""
}

// checkMerged checks the length of a value that is being merged while it is
// read.
func (e *entry) checkMerged(v view, issued word, value []byte, scratch *[]byte) string {
	if issued.version()-v.acked.version() > 1 || !v.known {
		return ""
	}
	for _, w := range []word{v.acked, issued} {
		if w.fate() != missing && w.length() == len(value) && (w.fate() == merged || e.is(w.version(), value, scratch)) {
			return ""
		}
	}
	return fmt.Sprintf("%d bytes in place of %d or %d after merges", len(value), v.acked.length(), issued.length())
}

// candidatesMax bounds the versions that a value too short to tell its own is
// compared with.
const candidatesMax = 64

// identify finds the version of a value.
func (e *entry) identify(v view, issued word, value []byte, scratch *[]byte) (version uint64, ok bool) {
	if len(value) == 0 {
		// All empty values are alike: the newest that may be.
		for _, w := range []word{issued, v.acked} {
			if w.fate() != missing && w.length() == 0 {
				return w.version(), true
			}
		}
		between := issued.version() - v.acked.version()
		return v.acked.version(), between > 1 || !v.known
	}
	if version, ok := versionOf(value, e.hash); ok {
		return version, e.is(version, value, scratch)
	} else if len(value) >= identityBytes {
		return 0, false
	}
	for i := range uint64(candidatesMax) {
		if i > issued.version() {
			return 0, false
		}
		if e.is(issued.version()-i, value, scratch) {
			return issued.version() - i, true
		}
	}
	// Older than what is compared: right if it may be so old.
	return issued.version() - candidatesMax, !v.known
}

func (e *entry) is(version uint64, value []byte, scratch *[]byte) bool {
	*scratch = appendValue((*scratch)[:0], e.hash, version, len(value))
	return bytes.Equal(*scratch, value)
}

// issue makes the next version of the key the one that may be seen from now on.
func (e *entry) issue(f fate, length int) word {
	last := word(e.issued.Load())
	w := newWord(last.version()+1, f, length)
	e.issued.Store(uint64(w))
	return w
}

// issueMerge is issue for an operand.
func (e *entry) issueMerge(length int) word {
	e.mixed.Store(true)
	last := word(e.issued.Load())
	switch f := last.fate(); {
	case f == expiring || f == anything || last.length()+length > valueBytesMax:
		return e.issue(anything, 0)
	case f == missing:
		return e.issue(merged, length)
	default:
		return e.issue(merged, last.length()+length)
	}
}

// ack acknowledges a version. epoch is the number of scans begun.
func (e *entry) ack(w word, epoch uint32) {
	if w.fate() == missing {
		e.removed.Store(uint32(w.version()))
	}
	e.epoch.Store(epoch)
	e.acked.Store(uint64(w))
}
