package depgraph

import (
	"fmt"
	"strings"
)

// Outcome is what a client knows of its transaction.
type Outcome uint8

const (
	// Committed transactions took effect.
	Committed Outcome = iota
	// Aborted ones did not, and nobody may see them.
	Aborted
	// Unknown ones may have: they count as committed if somebody saw them, and
	// have no end.
	Unknown
)

// Op is one operation of a transaction: an append of Value to the list at Key,
// or a read of it.
type Op struct {
	Key    string
	Append bool
	Value  int   // appended; of one key, never twice in a history
	List   []int // read; empty: the key was not there
	Range  bool  // read by a range read, which may not have shown the key at all
}

// Append is an append of value to the list at key.
func Append(key string, value int) Op { return Op{Key: key, Append: true, Value: value} }

// Read is a read of the list at key.
func Read(key string, list ...int) Op { return Op{Key: key, List: list} }

// RangeRead is a read of the list at key by a range read. One range read is as
// many of them as the history has keys in the range.
func RangeRead(key string, list ...int) Op { return Op{Key: key, List: list, Range: true} }

// String is the operation as reports show it.
func (op Op) String() string {
	switch {
	case op.Append:
		return fmt.Sprintf("append %s %d", op.Key, op.Value)
	case op.Range:
		return fmt.Sprintf("range read %s %s", op.Key, listText(op.List))
	}
	return fmt.Sprintf("read %s %s", op.Key, listText(op.List))
}

// listText is a list, without the middle of a long one.
func listText(list []int) string {
	const whole = 6
	if len(list) <= whole {
		return fmt.Sprint(list)
	}
	ends := list[len(list)-3:]
	return fmt.Sprintf("[%d ... %d more ... %d %d %d]", list[0], len(list)-4, ends[0], ends[1], ends[2])
}

// Txn is a transaction as its client saw it.
type Txn struct {
	Name       string // for reports; default: its place in the history
	Outcome    Outcome
	Start, End int64 // just before Begin and just after Commit, of one monotonic clock; both 0: no real-time order
	Ops        []Op  // in order
}

// timed reports whether the transaction has a place in real time.
func (t *Txn) timed() bool { return t.Start != 0 || t.End != 0 }

// describe shows at most a dozen operations of t.
func (t *Txn) describe() string {
	const opsMax = 12
	var b strings.Builder
	for i, op := range t.Ops {
		if i > 0 {
			b.WriteString(", ")
		}
		if i == opsMax {
			fmt.Fprintf(&b, "and %d more", len(t.Ops)-i)
			break
		}
		b.WriteString(op.String())
	}
	if t.timed() && t.Outcome != Unknown {
		fmt.Fprintf(&b, "  (%d to %d)", t.Start, t.End)
	}
	return b.String()
}
