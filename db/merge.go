package db

import (
	"encoding/binary"
	"fmt"

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
