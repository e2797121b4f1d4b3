package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
)

// MergeOperator says what Merge does: how operands combine with the value
// below them. See the interface's own comment for its rules.
type MergeOperator = base.MergeOperator

// Counter adds: a value and its operands are signed 64-bit numbers, eight
// bytes little-endian; sums wrap around. A missing value counts as 0. Use
// CounterValue and CounterBytes to convert.
func Counter() MergeOperator { return counter{} }

// CounterBytes is the operand that adds n to a Counter.
func CounterBytes(n int64) []byte {
	return binary.LittleEndian.AppendUint64(nil, uint64(n))
}

// CounterValue is the number in a Counter's value.
func CounterValue(value []byte) (int64, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("cordwood: counter value of %d bytes, want 8", len(value))
	}
	return int64(binary.LittleEndian.Uint64(value)), nil
}

type counter struct{}

func (counter) Name() string { return "cordwood.counter" }

func (counter) Merge(dst, _, value []byte, hasBase bool, operands [][]byte) ([]byte, error) {
	var sum int64
	if hasBase {
		n, err := CounterValue(value)
		if err != nil {
			return dst, err
		}
		sum = n
	}
	for _, o := range operands {
		n, err := CounterValue(o)
		if err != nil {
			return dst, err
		}
		sum += n
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(sum)), nil
}

func (counter) Combine(dst, _, older, newer []byte) ([]byte, bool) {
	a, errA := CounterValue(older)
	b, errB := CounterValue(newer)
	if errA != nil || errB != nil {
		return dst, false
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(a+b)), true
}

// Append concatenates: the operands follow the value, oldest first.
func Append() MergeOperator { return appender{} }

type appender struct{}

func (appender) Name() string { return "cordwood.append" }

func (appender) Merge(dst, _, value []byte, _ bool, operands [][]byte) ([]byte, error) {
	dst = append(dst, value...)
	for _, o := range operands {
		dst = append(dst, o...)
	}
	return dst, nil
}

func (appender) Combine(dst, _, older, newer []byte) ([]byte, bool) {
	return append(append(dst, older...), newer...), true
}

// Max keeps the bytewise largest of the value and the operands. Big-endian
// unsigned numbers of one length compare as numbers.
func Max() MergeOperator { return maximum{} }

type maximum struct{}

func (maximum) Name() string { return "cordwood.max" }

func (maximum) Merge(dst, _, value []byte, hasBase bool, operands [][]byte) ([]byte, error) {
	best, have := value, hasBase
	for _, o := range operands {
		if !have || string(o) > string(best) {
			best, have = o, true
		}
	}
	return append(dst, best...), nil
}

func (maximum) Combine(dst, _, older, newer []byte) ([]byte, bool) {
	if string(newer) > string(older) {
		return append(dst, newer...), true
	}
	return append(dst, older...), true
}

// Union makes a set: the value holds every member of the value below and of the
// operands, each once. A value and an operand are both a set as UnionBytes
// writes it; a missing value is the empty set. Use UnionMembers to read one.
// Members cannot be taken out again other than by a Put or a Delete.
func Union() MergeOperator { return union{} }

// UnionBytes is the set of members, as an operand or a value of Union. For each
// member, in bytewise order and without repetitions, it holds the length as an
// unsigned varint (encoding/binary) followed by the bytes. The empty set is
// empty. A member may be empty.
func UnionBytes(members ...[]byte) []byte {
	return appendUnion(nil, slices.Clone(members))
}

// UnionMembers are the members of a set that UnionBytes or Union made, in
// bytewise order. They are slices of value, which must not be changed while
// they are used. Bytes that are no such set give an error.
func UnionMembers(value []byte) ([][]byte, error) {
	return unionMembers(nil, value)
}

// errUnion is about bytes that UnionBytes cannot have made.
var errUnion = errors.New("cordwood: malformed set")

// unionMembers appends the members of a set to members.
func unionMembers(members [][]byte, set []byte) ([][]byte, error) {
	for first, last := true, []byte(nil); len(set) > 0; first = false {
		n, width := binary.Uvarint(set)
		if width <= 0 || n > uint64(len(set)-width) {
			return nil, errUnion
		}
		end := width + int(n)
		member := set[width:end:end]
		if !first && bytes.Compare(last, member) >= 0 {
			return nil, errUnion
		}
		members, last, set = append(members, member), member, set[end:]
	}
	return members, nil
}

// appendUnion appends the set of members to dst. It sorts members.
func appendUnion(dst []byte, members [][]byte) []byte {
	slices.SortFunc(members, bytes.Compare)
	for i, m := range members {
		if i > 0 && bytes.Equal(m, members[i-1]) {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(len(m)))
		dst = append(dst, m...)
	}
	return dst
}

type union struct{}

func (union) Name() string { return "cordwood.union" }

func (union) Merge(dst, _, value []byte, _ bool, operands [][]byte) ([]byte, error) {
	members, err := unionMembers(nil, value)
	for _, o := range operands {
		if err != nil {
			break
		}
		members, err = unionMembers(members, o)
	}
	if err != nil {
		return dst, err
	}
	return appendUnion(dst, members), nil
}

func (union) Combine(dst, _, older, newer []byte) ([]byte, bool) {
	members, err := unionMembers(nil, older)
	if err == nil {
		members, err = unionMembers(members, newer)
	}
	if err != nil {
		return dst, false
	}
	return appendUnion(dst, members), true
}
