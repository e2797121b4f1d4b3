package vfs

import (
	"math"
	"path/filepath"
	"sync/atomic"
)

// Filter says whether a fault is meant for an operation.
type Filter func(op Op) bool

// AnyOp lets every operation through.
func AnyOp(Op) bool { return true }

// Mutating lets through the operations that can change what a crash leaves.
func Mutating(op Op) bool { return op.Kind.Mutates() }

// OfKind lets through operations of the given kinds.
func OfKind(kinds ...OpKind) Filter {
	var set uint32
	for _, k := range kinds {
		set |= 1 << k
	}
	return func(op Op) bool { return set>>op.Kind&1 != 0 }
}

// OnFile lets through operations whose path's last element matches pattern
// (see path/filepath.Match); for OpRename and OpLink either path may match. It
// panics if the pattern is malformed, which is a mistake in a test.
func OnFile(pattern string) Filter {
	match := func(path string) bool {
		ok, err := filepath.Match(pattern, filepath.Base(path))
		if err != nil {
			panic("vfs: OnFile: " + pattern + ": " + err.Error())
		}
		return ok
	}
	match("")
	return func(op Op) bool { return match(op.Path) || op.OldPath != "" && match(op.OldPath) }
}

// And lets through what both filters let through.
func (f Filter) And(g Filter) Filter {
	return func(op Op) bool { return f(op) && g(op) }
}

// FailNth returns a decision for Faulty that fails with err the n-th operation
// (from 1) that filter lets through; if sticky, also all later such ones.
func FailNth(n int64, filter Filter, err error, sticky bool) func(op Op) *Fault {
	return FaultNth(n, filter, Fault{Err: err}, sticky)
}

// FaultNth is FailNth for any fault.
func FaultNth(n int64, filter Filter, fault Fault, sticky bool) func(op Op) *Fault {
	last := n
	if sticky {
		last = math.MaxInt64
	}
	return FaultRange(n, last, filter, fault)
}

// FaultRange returns a decision for Faulty that applies fault to the
// operations number first to last (from 1, both included) that filter lets
// through. It counts in one sequence for all goroutines.
func FaultRange(first, last int64, filter Filter, fault Fault) func(op Op) *Fault {
	var seen atomic.Int64
	return func(op Op) *Fault {
		if !filter(op) {
			return nil
		}
		if n := seen.Add(1); n < first || n > last {
			return nil
		}
		return &fault
	}
}

// FirstOf returns a decision that asks all of the given ones, each of which
// may count, and takes the first fault in their order.
func FirstOf(decisions ...func(op Op) *Fault) func(op Op) *Fault {
	return func(op Op) *Fault {
		var first *Fault
		for _, decide := range decisions {
			if fault := decide(op); first == nil {
				first = fault
			}
		}
		return first
	}
}
