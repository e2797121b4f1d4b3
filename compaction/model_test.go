package compaction

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// concatOperator joins operands to the value.
type concatOperator struct {
	combines bool // Combine is possible
	failOn   byte // an operand that starts with it makes Merge fail; 0 none
	calls    *int // of Merge, if set
}

var errOperator = errors.New("operator fails")

func (concatOperator) Name() string { return "concat" }

func (c concatOperator) Merge(dst, key, below []byte, hasBase bool, operands [][]byte) ([]byte, error) {
	if c.calls != nil {
		*c.calls++
	}
	if hasBase {
		dst = append(dst, below...)
	}
	for _, o := range operands {
		if c.failOn != 0 && bytes.IndexByte(o, c.failOn) >= 0 {
			return nil, errOperator
		}
		dst = append(dst, o...)
	}
	return dst, nil
}

func (c concatOperator) Combine(dst, key, older, newer []byte) ([]byte, bool) {
	if !c.combines {
		return nil, false
	}
	return append(append(dst, older...), newer...), true
}

// history is a set of versions and range tombstones, with what the value log
// holds.
type history struct {
	entries []iterator.Entry // any order
	tombs   []rangedel.Tombstone
	vlog    map[base.Pointer][]byte
	byKey   map[string][]iterator.Entry // made by index
}

// index sorts what has been added for reading.
func (h *history) index() {
	h.byKey = map[string][]iterator.Entry{}
	for _, e := range h.entries {
		h.byKey[string(e.Key.User)] = append(h.byKey[string(e.Key.User)], e)
	}
	for _, es := range h.byKey {
		slices.SortFunc(es, func(a, b iterator.Entry) int { return a.Key.Compare(b.Key) })
	}
}

// read is the state of key at a sequence number and a time, by definition.
func (h *history) read(key string, at base.SeqNum, now uint64) string {
	var cover base.SeqNum
	for _, t := range h.tombs {
		if t.Seq <= at && string(t.Start) <= key && key < string(t.End) {
			cover = max(cover, t.Seq)
		}
	}
	var operands []byte
	merged := false
	for _, e := range h.byKey[key] {
		if seq := e.Key.Trailer.SeqNum(); seq > at || seq < cover {
			continue
		}
		kind := e.Key.Trailer.Kind()
		expiry, value, err := base.SplitPayload(kind, e.Value)
		if err != nil {
			return "malformed: " + err.Error()
		}
		switch {
		case kind == base.KindMerge:
			operands = append(slices.Clone(e.Value), operands...)
			merged = true
			continue
		case kind == base.KindDelete, kind.HasExpiry() && expiry <= now:
			if merged {
				return "=" + string(operands)
			}
			return "none"
		case kind.Op() == base.KindSetPointer:
			p, err := base.DecodePointer(value)
			if err != nil {
				return "malformed: " + err.Error()
			}
			var ok bool
			if value, ok = h.vlog[p]; !ok {
				return fmt.Sprintf("dangling %v", p)
			}
		}
		return "=" + string(value) + string(operands)
	}
	if merged {
		return "=" + string(operands)
	}
	return "none"
}

// pointerBytes sums what the entries refer to, by file.
func pointerBytes(entries []iterator.Entry) map[base.FileNum]uint64 {
	sum := map[base.FileNum]uint64{}
	for _, e := range entries {
		if e.Key.Trailer.Kind().Op() == base.KindSetPointer {
			_, enc, _ := base.SplitPayload(e.Key.Trailer.Kind(), e.Value)
			p, err := base.DecodePointer(enc)
			if err != nil {
				panic(err)
			}
			sum[p.File] += uint64(p.Size)
		}
	}
	return sum
}
