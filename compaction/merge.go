package compaction

import (
	"github.com/cordwood-db/cordwood/internal/base"
)

// mergeRun collects the operands of one key and one stripe, newest first,
// which follow one another with nothing between.
type mergeRun struct {
	stripe   int
	operands []operand
	arena    []byte // their payloads
	base     []byte // of the value below, while it is known
	scratch  []byte // of fold
	args     [][]byte
}

type operand struct {
	trailer base.Trailer
	lo, hi  int // payload in arena
}

func (r *mergeRun) empty() bool { return len(r.operands) == 0 }

func (r *mergeRun) payload(i int) []byte { return r.arena[r.operands[i].lo:r.operands[i].hi] }

func (r *mergeRun) reset() {
	r.operands = r.operands[:0]
	if cap(r.arena) > mergeArenaKeptMax {
		r.arena = nil
	}
	r.arena = r.arena[:0]
}

// baseKnown is what a run of operands stands on.
type baseKnown uint8

const (
	unknownBase baseKnown = iota // older versions are elsewhere, or cannot be read here
	noBase                       // nothing: deleted, expired, or never written
	inlineBase                   // run.base
)

// baseOf says what a version makes known to operands above it in its stripe.
// A value that expires is no base to fold into: the result would have to fall
// back to the operands alone at that time. A value in the value log is not
// read by compaction.
func baseOf(kind base.Kind) baseKnown {
	switch kind {
	case base.KindDelete:
		return noBase
	case base.KindSet:
		return inlineBase
	}
	return unknownBase
}

const (
	// mergeRunBytesMax bounds the memory for the operands of one key. A longer
	// run is written in parts, which any reader takes together again.
	mergeRunBytesMax = 32 << 20
	// mergeArenaKeptMax is how much of it stays allocated between keys.
	mergeArenaKeptMax = 1 << 20
	// mergedBytesMax is the largest result of a merge that is stored: the
	// limit on values (base.Pointer, the formats' lengths).
	mergedBytesMax = 1 << 30
)

// operand adds a merge operand to the run that waits.
func (f *filter) operand(stripe int, t base.Trailer, payload []byte) error {
	r := &f.run
	if !r.empty() && (r.stripe != stripe || len(r.arena)+len(payload) > mergeRunBytesMax) {
		if err := f.flushRun(unknownBase); err != nil {
			return err
		}
	}
	r.stripe = stripe
	lo := len(r.arena)
	r.arena = append(r.arena, payload...)
	r.operands = append(r.operands, operand{t, lo, len(r.arena)})
	return nil
}

func (f *filter) flushRun(known baseKnown) error {
	_, err := f.closeRun(known)
	return err
}

// closeRun writes the run out: as one value (folded) if the base is known; with
// neighbours combined if it is not; as it is if the operator fails.
func (f *filter) closeRun(known baseKnown) (folded bool, err error) {
	r := &f.run
	defer r.reset()
	if f.merge == nil {
		return false, f.emitOperands()
	}
	if known != unknownBase {
		value, ok := f.fold(known)
		if ok {
			f.stats.Merged += uint64(len(r.operands)) - 1
			t := base.MakeTrailer(r.operands[0].trailer.SeqNum(), base.KindSet)
			return true, f.emitSet(r.stripe, t, value)
		}
		f.stats.MergeErrors++
		return false, f.emitOperands()
	}
	return false, f.combine()
}

// fold makes one value of all operands. The result is valid until the next
// call.
func (f *filter) fold(known baseKnown) ([]byte, bool) {
	r := &f.run
	r.args = r.args[:0]
	for i := len(r.operands) - 1; i >= 0; i-- { // oldest first
		r.args = append(r.args, r.payload(i))
	}
	var below []byte
	if known == inlineBase {
		below = r.base
	}
	value, err := f.merge.Merge(r.scratch[:0], f.user, below, known == inlineBase, r.args)
	clear(r.args)
	if err != nil || len(value) > mergedBytesMax {
		return nil, false
	}
	if cap(value) <= mergeArenaKeptMax {
		r.scratch = value
	}
	return value, true
}

// combined is an operand that is ready to be written.
type combined struct {
	trailer base.Trailer // of the newest operand in it
	payload []byte
}

// combine joins neighbours where the operator can, and emits what is left.
func (f *filter) combine() error {
	ops := f.combineRange(0, len(f.run.operands))
	for i := len(ops) - 1; i >= 0; i-- {
		if err := f.emit(ops[i].trailer, ops[i].payload); err != nil {
			return err
		}
	}
	return nil
}

// combineRange combines operands [lo, hi) of the run, of which there is at
// least one, and returns them oldest first. It joins halves rather than adding
// one by one, so that operands that grow, such as lists, are copied log n times.
func (f *filter) combineRange(lo, hi int) []combined {
	if hi-lo == 1 {
		return []combined{{f.run.operands[lo].trailer, f.run.payload(lo)}}
	}
	mid := lo + (hi-lo)/2
	newer, out := f.combineRange(lo, mid), f.combineRange(mid, hi)
	n := len(out) - 1
	if len(out[n].payload)+len(newer[0].payload) <= mergedBytesMax {
		c, ok := f.merge.Combine(nil, f.user, out[n].payload, newer[0].payload)
		if ok && len(c) <= mergedBytesMax {
			out[n] = combined{newer[0].trailer, c}
			newer = newer[1:]
			f.stats.Merged++
		}
	}
	return append(out, newer...)
}

// emitOperands writes the run as it is.
func (f *filter) emitOperands() error {
	for i, o := range f.run.operands {
		if err := f.emit(o.trailer, f.run.payload(i)); err != nil {
			return err
		}
	}
	return nil
}
