package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit/draw"
)

// key draws a key; some are long, some share prefixes, one is empty.
func (r *run) key() []byte {
	switch n := r.draw.IntN(100); {
	case n == 99:
		return []byte{}
	case n >= 97:
		return bytes.Repeat([]byte{'k'}, 1+r.draw.IntN(3000))
	case n >= 80: // so hot that transactions meet there
		return fmt.Appendf(nil, "user/%04d/profile", r.draw.IntN(8))
	case n >= 60:
		return fmt.Appendf(nil, "user/%04d/profile", r.draw.IntN(60))
	}
	return fmt.Appendf(nil, "%03d", r.draw.IntN(300))
}

// value draws a value, mostly a short one.
func (r *run) value() []byte {
	n := 0
	switch k := r.draw.IntN(400); {
	case k == 399:
		n = r.draw.IntN(1 << 20)
	case k >= 380:
		n = r.draw.IntN(20_000)
	case k >= 320:
		n = r.draw.IntN(2000)
	case k >= 20:
		n = r.draw.IntN(60)
	}
	return fill(n, uint64(r.draw.IntN(1<<16)))
}

// fill makes n bytes that compress a little and follow from what.
func fill(n int, what uint64) []byte {
	v := make([]byte, (n+7)&^7)
	x := what
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(v[i:], x&0x0707070707070707)
		x = x*6364136223846793005 + what
	}
	return v[:n:n]
}

// bounds draws a range; either may be nil.
func (r *run) bounds() (lower, upper []byte) {
	lower, upper = r.key(), r.key()
	if bytes.Compare(lower, upper) > 0 {
		lower, upper = upper, lower
	}
	if r.draw.One(10) {
		lower = nil
	}
	if r.draw.One(10) {
		upper = nil
	}
	return lower, upper
}

// drawRange draws a range of any form.
func (r *run) drawRange() db.Range {
	switch r.draw.IntN(8) {
	case 0, 1:
		return db.All()
	case 2, 3:
		key := r.key()
		return db.Prefix(key[:r.draw.IntN(len(key)+1)])
	case 4:
		return db.From(r.key())
	}
	return db.Between(r.bounds())
}

// wanted are the items of rng in a state.
func wanted(s state, rng db.Range, now time.Time) []item {
	upper, bounded := rng.Upper()
	return s.items(rng.Lower(), upper, bounded, now)
}

// writeOf draws a write of a kind to a keyspace.
func (r *run) writeOf(s *space, op byte) write {
	w := write{in: s, now: r.now, op: op, key: r.key()}
	if op == 'm' && s.op == nil {
		w.op = 'p'
	}
	switch w.op {
	case 'r':
		if w.end = append(slices.Clone(w.key), '~'); r.draw.One(4) { // most delete little
			w.key, w.end = r.bounds()
		}
	case 'd':
	case 'm':
		w.value = r.operand(s.op)
	case 'p':
		w.value, w.ttl = r.valueFor(s.op), s.ttl
	default:
		w.value = r.valueFor(s.op)
		w.ttl = time.Duration(1+r.draw.IntN(20_000)) * time.Millisecond
	}
	return w
}

// drawWrite draws a write to a keyspace.
func (r *run) drawWrite(s *space) write {
	return r.writeOf(s, "pppppppttddmmr"[r.draw.IntN(14)])
}

// operand draws something to merge.
func (r *run) operand(op db.MergeOperator) []byte {
	switch op.Name() {
	case db.Counter().Name():
		return db.CounterBytes(int64(r.draw.IntN(1000)) - 500)
	case db.Union().Name():
		return db.UnionBytes(fmt.Append(nil, r.draw.IntN(30)), fmt.Append(nil, r.draw.IntN(30)))
	}
	return fmt.Appendf(nil, "+%d", r.draw.IntN(100))
}

// valueFor draws a value that an operator can merge into.
func (r *run) valueFor(op db.MergeOperator) []byte {
	switch {
	case op != nil && op.Name() == db.Counter().Name():
		return db.CounterBytes(int64(r.draw.IntN(1000)))
	case op != nil && op.Name() == db.Union().Name():
		return db.UnionBytes(r.value(), r.value())
	}
	return r.value()
}

// pick draws one of values, of which the first is the simplest.
func pick[T any](r *run, values ...T) T { return draw.Pick(r.draw, values...) }
