package linear

import (
	"fmt"
	"slices"

	"github.com/anishathalye/porcupine"
)

// RegisterKind is what a single operation does.
type RegisterKind uint8

const (
	// Get reads Out.
	Get RegisterKind = iota
	// Put writes In.
	Put
	// Delete removes the value.
	Delete
	// PutIfAbsent writes In if there was no value, and says in Done whether.
	PutIfAbsent
	// CompareAndSwap writes In if the value was Old, and says in Done whether.
	CompareAndSwap
	// GetAndDelete reads Out and removes it.
	GetAndDelete
	// Add adds In to the value, none being 0, and returns Out.
	Add
)

var registerNames = [...]string{Get: "Get", Put: "Put", Delete: "Delete", PutIfAbsent: "PutIfAbsent",
	CompareAndSwap: "CompareAndSwap", GetAndDelete: "GetAndDelete", Add: "Add"}

// Value is the value of a register.
type Value struct {
	Set bool
	N   int64
}

// Some is a value that is set.
func Some(n int64) Value { return Value{true, n} }

// String is n, or "none".
func (v Value) String() string {
	if !v.Set {
		return "none"
	}
	return fmt.Sprint(v.N)
}

// Register is an operation on one key, with its answer.
type Register struct {
	Key  int
	Kind RegisterKind
	In   int64
	Old  Value // of CompareAndSwap
	Out  Value
	Done bool
}

// String is the operation as reports show it.
func (op Register) String() string {
	switch op.Kind {
	case Get, GetAndDelete, Delete:
		return fmt.Sprintf("%s(%d) = %s", registerNames[op.Kind], op.Key, op.Out)
	case CompareAndSwap:
		return fmt.Sprintf("%s(%d, %s, %d) = %v", registerNames[op.Kind], op.Key, op.Old, op.In, op.Done)
	}
	return fmt.Sprintf("%s(%d, %d) = %s, %v", registerNames[op.Kind], op.Key, op.In, op.Out, op.Done)
}

// run is the operation on a register with value v: the answer and the value
// after it.
func (op Register) run(v Value) (out Value, done bool, after Value) {
	switch op.Kind {
	case Get:
		return v, false, v
	case Put:
		return Value{}, false, Some(op.In)
	case Delete:
		return Value{}, false, Value{}
	case PutIfAbsent:
		if v.Set {
			return Value{}, false, v
		}
		return Value{}, true, Some(op.In)
	case CompareAndSwap:
		if v != op.Old {
			return Value{}, false, v
		}
		return Value{}, true, Some(op.In)
	case GetAndDelete:
		return v, false, Value{}
	default:
		sum := Some(v.N + op.In)
		return sum, false, sum
	}
}

// Registers is the model of operations on single keys; inputs are Register.
func Registers() porcupine.Model {
	return porcupine.Model{
		Partition: func(ops []porcupine.Operation) [][]porcupine.Operation {
			byKey := make(map[int][]porcupine.Operation)
			var keys []int
			for _, op := range ops {
				k := op.Input.(Register).Key
				if byKey[k] == nil {
					keys = append(keys, k)
				}
				byKey[k] = append(byKey[k], op)
			}
			slices.Sort(keys)
			parts := make([][]porcupine.Operation, 0, len(keys))
			for _, k := range keys {
				parts = append(parts, byKey[k])
			}
			return parts
		},
		Init: func() any { return Value{} },
		Step: func(state, input, known any) (bool, any) {
			op := input.(Register)
			out, done, after := op.run(state.(Value))
			return !known.(bool) || out == op.Out && done == op.Done, after
		},
		DescribeOperation: func(input, _ any) string { return input.(Register).String() },
		DescribeState:     func(state any) string { return state.(Value).String() },
	}
}

// Apply runs op on a register with value v: op with its answer, and the value
// after it.
func Apply(op Register, v Value) (Register, Value) {
	var after Value
	op.Out, op.Done, after = op.run(v)
	return op, after
}
