package trace

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"
)

// slowOp is how long an operation takes at least to be held apart: see ordered.
const slowOp = 50 * time.Millisecond

// held is an operation with its own memory.
type held struct {
	op  Op
	mem []byte
	seq uint64
}

// take copies op into h, whose memory it uses again.
func (h *held) take(op *Op, seq uint64) {
	if h.mem == nil {
		h.mem = []byte{} // an empty key is not nil
	}
	h.mem, h.seq = h.mem[:0], seq
	items := h.op.Items[:0]
	h.op = *op
	h.own(&h.op)
	for i := range op.Items {
		items = append(items, op.Items[i])
		h.own(&items[i])
	}
	h.op.Items = items
}

// own moves the keys of an operation to h's memory. What was moved before stays
// where it is, also when mem grows.
func (h *held) own(op *Op) {
	for _, b := range []*[]byte{&op.Key, &op.Range.Lower, &op.Range.Upper} {
		if *b != nil {
			at := len(h.mem)
			h.mem = append(h.mem, *b...)
			*b = h.mem[at:len(h.mem):len(h.mem)]
		}
	}
}

// ordered yields the operations of a trace in the order in which they began. The
// file has them in the order in which they ended. So it holds back what ended less
// than slowOp ago; the few that took longer are given to it.
type ordered struct {
	r     *Reader
	slow  []Op // by Start
	wait  []*held
	free  []*held
	last  *held // that was yielded
	until time.Duration
	seq   uint64
	ended bool
	op    Op // memory for reading
}

func (o *ordered) before(a, b *held) bool {
	return cmp.Or(cmp.Compare(a.op.Start, b.op.Start), cmp.Compare(a.seq, b.seq)) < 0
}

// next is the next operation, valid until the next call; io.EOF at the end.
func (o *ordered) next() (*Op, error) {
	if o.last != nil {
		o.free = append(o.free, o.last)
		o.last = nil
	}
	for !o.ended && (len(o.wait) == 0 || o.wait[0].op.Start > o.until) {
		if err := o.read(); err != nil {
			return nil, err
		}
	}
	if len(o.slow) > 0 && (len(o.wait) == 0 || o.slow[0].Start <= o.wait[0].op.Start) {
		op := &o.slow[0]
		o.slow = o.slow[1:]
		return op, nil
	}
	if len(o.wait) == 0 {
		return nil, io.EOF
	}
	o.last = o.pop()
	return &o.last.op, nil
}

// read takes in one operation.
func (o *ordered) read() error {
	op := &o.op
	err := o.r.Next(op)
	if errors.Is(err, io.EOF) {
		o.ended = true
		return nil
	}
	if err != nil {
		return err
	}
	o.until = op.End() - slowOp
	if op.Took >= slowOp {
		return nil // it is among the slow ones
	}
	h := &held{}
	if n := len(o.free); n > 0 {
		h, o.free = o.free[n-1], o.free[:n-1]
	}
	o.seq++
	h.take(op, o.seq)
	o.push(h)
	return nil
}

func (o *ordered) push(h *held) {
	o.wait = append(o.wait, h)
	for i := len(o.wait) - 1; i > 0; {
		up := (i - 1) / 2
		if !o.before(o.wait[i], o.wait[up]) {
			break
		}
		o.wait[i], o.wait[up] = o.wait[up], o.wait[i]
		i = up
	}
}

func (o *ordered) pop() *held {
	first, n := o.wait[0], len(o.wait)-1
	o.wait[0], o.wait[n] = o.wait[n], nil
	o.wait = o.wait[:n]
	for i := 0; ; {
		least := i
		for _, down := range []int{2*i + 1, 2*i + 2} {
			if down < n && o.before(o.wait[down], o.wait[least]) {
				least = down
			}
		}
		if least == i {
			return first
		}
		o.wait[i], o.wait[least] = o.wait[least], o.wait[i]
		i = least
	}
}

// sortSlow puts the slow operations in order.
func sortSlow(ops []Op) {
	slices.SortStableFunc(ops, func(a, b Op) int { return cmp.Compare(a.Start, b.Start) })
}
