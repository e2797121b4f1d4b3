package linear

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// op is an operation with given times; end 0: of unknown outcome.
func op(client int, call, end int64, input any) porcupine.Operation {
	if end == 0 {
		return porcupine.Operation{ClientId: client, Input: input, Call: call, Output: false, Return: math.MaxInt64}
	}
	return porcupine.Operation{ClientId: client, Input: input, Call: call, Output: true, Return: end}
}

func TestRegisterHistories(t *testing.T) {
	put := func(n int64) Register { return Register{Kind: Put, In: n} }
	get := func(v Value) Register { return Register{Kind: Get, Out: v} }
	check(t, Registers(), []testCase{
		{"one after the other", true, []porcupine.Operation{
			op(0, 1, 2, put(1)), op(0, 3, 4, get(Some(1))), op(0, 5, 6, Register{Kind: Delete}), op(0, 7, 8, get(Value{}))}},
		{"stale read", false, []porcupine.Operation{op(0, 1, 2, put(1)), op(1, 3, 4, get(Value{}))}},
		{"concurrent read", true, []porcupine.Operation{op(0, 1, 3, put(1)), op(1, 2, 4, get(Value{}))}},
		{"seen and gone", false, []porcupine.Operation{
			op(0, 1, 9, put(1)), op(1, 2, 3, get(Some(1))), op(1, 4, 5, get(Value{}))}},
		{"keys by themselves", true, []porcupine.Operation{
			op(0, 1, 2, put(1)), op(1, 3, 4, Register{Key: 1, Kind: Get})}},
		{"two of one PutIfAbsent", false, []porcupine.Operation{
			op(0, 1, 5, Register{Kind: PutIfAbsent, In: 1, Done: true}),
			op(1, 1, 5, Register{Kind: PutIfAbsent, In: 2, Done: true})}},
		{"one of two PutIfAbsent", true, []porcupine.Operation{
			op(0, 1, 5, Register{Kind: PutIfAbsent, In: 1, Done: true}),
			op(1, 1, 5, Register{Kind: PutIfAbsent, In: 2})}},
		{"swaps in a chain", true, []porcupine.Operation{
			op(0, 1, 9, Register{Kind: CompareAndSwap, Old: Some(2), In: 3, Done: true}),
			op(1, 1, 9, Register{Kind: CompareAndSwap, In: 2, Done: true})}},
		{"swap from what was not there", false, []porcupine.Operation{
			op(0, 1, 9, Register{Kind: CompareAndSwap, Old: Some(1), In: 3, Done: true}),
			op(1, 1, 9, Register{Kind: CompareAndSwap, In: 2, Done: true})}},
		{"taken twice", false, []porcupine.Operation{
			op(0, 1, 2, put(1)),
			op(0, 3, 9, Register{Kind: GetAndDelete, Out: Some(1)}),
			op(1, 3, 9, Register{Kind: GetAndDelete, Out: Some(1)})}},
		{"lost addition", false, []porcupine.Operation{
			op(0, 1, 9, Register{Kind: Add, In: 1, Out: Some(1)}),
			op(1, 1, 9, Register{Kind: Add, In: 1, Out: Some(1)})}},
		{"unknown, seen", true, []porcupine.Operation{op(0, 1, 0, put(1)), op(1, 5, 6, get(Some(1)))}},
		{"unknown, not seen", true, []porcupine.Operation{op(0, 1, 0, put(1)), op(1, 5, 6, get(Value{}))}},
		{"unknown, seen and gone", false, []porcupine.Operation{
			op(0, 1, 0, put(1)), op(1, 5, 6, get(Some(1))), op(1, 7, 8, get(Value{}))}},
	})
}

func TestTransactionHistories(t *testing.T) {
	read := func(k int, v Value) Step { return Step{Kind: Read, Key: k, Out: v} }
	write := func(k int, n int64) Step { return Step{Kind: Write, Key: k, In: n} }
	scan := func(count int, sum int64) Step {
		return Step{Kind: Range, Key: 0, End: 4, Count: count, Out: Some(sum)}
	}
	none := Value{}
	check(t, Transactions(), []testCase{
		{"own writes", true, []porcupine.Operation{
			op(0, 1, 2, Txn{write(1, 5), read(1, Some(5)), scan(1, 5), {Kind: Remove, Key: 1}, read(1, none), scan(0, 0)})}},
		{"write skew", false, []porcupine.Operation{
			op(0, 1, 9, Txn{read(0, none), write(1, 1)}), op(1, 1, 9, Txn{read(1, none), write(0, 1)})}},
		{"half a transaction", false, []porcupine.Operation{
			op(0, 1, 9, Txn{write(0, 1), write(1, 1)}), op(1, 1, 9, Txn{read(0, Some(1)), read(1, none)})}},
		{"lost update", false, []porcupine.Operation{
			op(0, 1, 9, Txn{read(0, none), write(0, 1)}), op(1, 1, 9, Txn{read(0, none), write(0, 2)})}},
		{"phantom", false, []porcupine.Operation{
			op(0, 1, 9, Txn{scan(0, 0), write(0, 1)}), op(1, 1, 9, Txn{scan(0, 0), write(1, 1)})}},
		{"the second saw the first", true, []porcupine.Operation{
			op(0, 1, 9, Txn{scan(0, 0), write(0, 1)}), op(1, 1, 9, Txn{scan(1, 1), write(1, 1)})}},
		{"a range beside the writes", true, []porcupine.Operation{
			op(0, 1, 9, Txn{scan(0, 0), write(4, 1)}), op(1, 1, 9, Txn{scan(0, 0), write(5, 1)})}},
		{"stale by the clock", false, []porcupine.Operation{
			op(0, 1, 2, Txn{write(0, 1)}), op(1, 3, 4, Txn{read(0, none)})}},
		{"unknown, all of it", true, []porcupine.Operation{
			op(0, 1, 0, Txn{write(0, 1), write(1, 1)}), op(1, 3, 4, Txn{read(0, Some(1)), read(1, Some(1))})}},
		{"unknown, half of it", false, []porcupine.Operation{
			op(0, 1, 0, Txn{write(0, 1), write(1, 1)}), op(1, 3, 4, Txn{read(0, Some(1)), read(1, none)})}},
	})
}

type testCase struct {
	name  string
	legal bool
	ops   []porcupine.Operation
}

func check(t *testing.T, model porcupine.Model, cases []testCase) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := NewHistory()
			for _, op := range c.ops {
				h.add(op)
			}
			if err := h.Check(model, time.Minute); (err == nil) != c.legal {
				t.Errorf("got %v, legal: %v", err, c.legal)
			} else if err != nil && !strings.Contains(err.Error(), "client ") {
				t.Errorf("the report shows no operation: %v", err)
			}
		})
	}
}

func TestClockGoesForward(t *testing.T) {
	h := NewHistory()
	call := h.Now()
	h.Returned(0, Register{Kind: Put, In: 1}, call)
	h.Unknown(0, Register{Kind: Put, In: 2}, h.Now())
	if h.Len() != 2 || h.ops[0].Return < h.ops[0].Call || h.ops[1].Call < h.ops[0].Return {
		t.Errorf("%+v", h.ops)
	}
}
