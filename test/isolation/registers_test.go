package isolation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/test/isolation/linear"
)

// Single operations, conditional ones included, are linearizable while the
// store is disturbed.
func TestRegisters(t *testing.T) {
	media(t, func(t *testing.T, s *store) {
		r := rand.New(rand.NewPCG(seed(t), 12))
		for round := range size(10) {
			if err := registersRound(s, round, r.Uint64()); err != nil {
				t.Fatalf("round %d: %v", round, err)
			}
		}
	})
}

const (
	registerClients = 4
	registerKeys    = 3
	registerOps     = 100 // of each client in a round
)

func registersRound(s *store, round int, seed uint64) error {
	h := linear.NewHistory()
	err := whileDisturbed(s, seed, registerClients, func(client int, seed uint64) error {
		r := rand.New(rand.NewPCG(seed, 13))
		for range registerOps {
			op := linear.Register{Key: r.IntN(registerKeys), Kind: linear.RegisterKind(r.IntN(7)), In: r.Int64N(4)}
			if n := r.Int64N(5); n < 4 {
				op.Old = linear.Some(n)
			}
			call := h.Now()
			if err := runRegister(s, round, &op); err != nil {
				return fmt.Errorf("%s: %w", op, err)
			}
			h.Returned(client, op, call)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return h.Check(linear.Registers(), searchTimeMax)
}

// runRegister runs an operation on the store and fills in the answer.
func runRegister(s *store, round int, op *linear.Register) (err error) {
	ks, key := s.places[op.Key%spaces], fmt.Appendf(nil, "register/%d/%d", round, op.Key)
	switch value := db.CounterBytes(op.In); op.Kind {
	case linear.Get:
		op.Out, err = registerValue(ks.Get(key))
	case linear.Put:
		err = ks.Put(key, value)
	case linear.Delete:
		err = ks.Delete(key)
	case linear.PutIfAbsent:
		op.Done, err = ks.PutIfAbsent(key, value)
	case linear.CompareAndSwap:
		var old []byte
		if op.Old.Set {
			old = db.CounterBytes(op.Old.N)
		}
		op.Done, err = ks.CompareAndSwap(key, old, value)
	case linear.GetAndDelete:
		op.Out, err = registerValue(ks.GetAndDelete(key))
	default:
		var sum int64
		sum, err = ks.Add(key, op.In)
		op.Out = linear.Some(sum)
	}
	return err
}

func registerValue(v []byte, err error) (linear.Value, error) {
	if errors.Is(err, db.ErrNotFound) {
		return linear.Value{}, nil
	}
	if err != nil {
		return linear.Value{}, err
	}
	n, err := db.CounterValue(v)
	return linear.Some(n), err
}
