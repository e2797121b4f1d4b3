package linear

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// History is what concurrent clients did. The zero value is not ready for use;
// see NewHistory.
type History struct {
	epoch time.Time

	mu  sync.Mutex // guards ops
	ops []porcupine.Operation
}

// NewHistory starts an empty history and its clock.
func NewHistory() *History { return &History{epoch: time.Now()} }

// Now is the time since the history began, in nanoseconds. It never goes back.
func (h *History) Now() int64 { return int64(time.Since(h.epoch)) }

// Returned adds an operation that was called at call and returned just now.
// input belongs to the history from now on.
func (h *History) Returned(client int, input any, call int64) {
	h.add(porcupine.Operation{ClientId: client, Input: input, Call: call, Output: true, Return: h.Now()})
}

// Unknown adds an operation that nobody knows the outcome of. Each one makes the
// search longer: a client that sees one should stop.
func (h *History) Unknown(client int, input any, call int64) {
	h.add(porcupine.Operation{ClientId: client, Input: input, Call: call, Output: false, Return: math.MaxInt64})
}

func (h *History) add(op porcupine.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// Len is the number of operations.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// Check looks for an order of the operations that a model runs in. The error
// shows where the longest one ends; there is also one if a search takes longer
// than timeout, since then nothing was shown.
func (h *History) Check(model porcupine.Model, timeout time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	parts := [][]porcupine.Operation{h.ops}
	if model.Partition != nil {
		parts = model.Partition(h.ops)
		model.Partition = nil
	}
	for _, part := range parts {
		switch porcupine.CheckOperationsTimeout(model, part, timeout) {
		case porcupine.Illegal:
			return explain(model, part, timeout)
		case porcupine.Unknown:
			return fmt.Errorf("no result for %d operations within %v", len(part), timeout)
		}
	}
	return nil
}

// explain says where operations stop fitting together.
func explain(model porcupine.Model, ops []porcupine.Operation, timeout time.Duration) error {
	_, info := porcupine.CheckOperationsVerbose(model, ops, timeout)
	var longest []porcupine.Operation
	for _, part := range info.PartialLinearizationsOperations() {
		for _, order := range part {
			if len(order) > len(longest) {
				longest = order
			}
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "no order of %d operations fits their answers; the longest that does has %d of them and ends in:\n", len(ops), len(longest))
	for _, op := range longest[max(0, len(longest)-5):] {
		fmt.Fprintf(&b, "  %s\n", describe(model, op))
	}
	b.WriteString("of the others, the first are:\n")
	for _, op := range without(ops, longest) {
		fmt.Fprintf(&b, "  %s\n", describe(model, op))
	}
	return errors.New(b.String())
}

// without is the first few of ops that are not in order.
func without(ops, order []porcupine.Operation) []porcupine.Operation {
	type place struct {
		client int
		call   int64
	}
	in := make(map[place]bool, len(order))
	for _, op := range order {
		in[place{op.ClientId, op.Call}] = true
	}
	var rest []porcupine.Operation
	for _, op := range ops {
		if !in[place{op.ClientId, op.Call}] {
			rest = append(rest, op)
		}
	}
	slices.SortFunc(rest, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	return rest[:min(len(rest), 8)]
}

func describe(model porcupine.Model, op porcupine.Operation) string {
	end := "?"
	if op.Return != math.MaxInt64 {
		end = fmt.Sprint(op.Return)
	}
	return fmt.Sprintf("client %d (%d to %s): %s", op.ClientId, op.Call, end, model.DescribeOperation(op.Input, op.Output))
}
