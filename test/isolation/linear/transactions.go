package linear

import (
	"fmt"
	"strings"

	"github.com/anishathalye/porcupine"
)

// Keys is the number of keys of the map that transactions work on: 0 to Keys-1.
const Keys = 8

// StepKind is what one step of a transaction does.
type StepKind uint8

const (
	// Read reads Key into Out.
	Read StepKind = iota
	// Write sets Key to In.
	Write
	// Remove removes Key.
	Remove
	// Range reads the keys from Key to End, without End: how many there are
	// into Count, the sum of their values into Out.
	Range
)

// Step is one step of a transaction, with its answer.
type Step struct {
	Kind     StepKind
	Key, End int
	In       int64
	Out      Value
	Count    int
}

// String is the step as reports show it.
func (s Step) String() string {
	switch s.Kind {
	case Read:
		return fmt.Sprintf("read %d = %s", s.Key, s.Out)
	case Write:
		return fmt.Sprintf("write %d = %d", s.Key, s.In)
	case Remove:
		return fmt.Sprintf("remove %d", s.Key)
	}
	return fmt.Sprintf("range %d to %d = %d keys, sum %d", s.Key, s.End, s.Count, s.Out.N)
}

// Txn is a whole transaction: one operation of a history.
type Txn []Step

// String is the transaction as reports show it.
func (t Txn) String() string {
	steps := make([]string, 0, len(t))
	for _, s := range t {
		steps = append(steps, s.String())
	}
	return strings.Join(steps, "; ")
}

// state is the whole map.
type state [Keys]Value

// run is the transaction on a map: whether its answers are right, and the map
// after it.
func (t Txn) run(m state) (right bool, after state) {
	right = true
	for _, s := range t {
		switch s.Kind {
		case Read:
			right = right && m[s.Key] == s.Out
		case Write:
			m[s.Key] = Some(s.In)
		case Remove:
			m[s.Key] = Value{}
		case Range:
			count, sum := 0, int64(0)
			for _, v := range m[s.Key:s.End] {
				if v.Set {
					count++
					sum += v.N
				}
			}
			right = right && count == s.Count && sum == s.Out.N
		}
	}
	return right, m
}

// Transactions is the model of whole transactions; inputs are Txn.
func Transactions() porcupine.Model {
	return porcupine.Model{
		Init: func() any { return state{} },
		Step: func(before, input, known any) (bool, any) {
			right, after := input.(Txn).run(before.(state))
			return right || !known.(bool), after
		},
		DescribeOperation: func(input, _ any) string { return input.(Txn).String() },
		DescribeState:     func(s any) string { return fmt.Sprint(s.(state)) },
	}
}
