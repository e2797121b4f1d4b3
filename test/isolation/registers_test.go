package isolation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/isolation/linear"
	"github.com/cordwood-db/cordwood/vfs"
)

// registerEngine is what single operations on keys run on.
type registerEngine interface {
	engine
	// register runs op and fills in its answer.
	register(r *rand.Rand, op linear.Register) (linear.Register, error)
}

// registersConfig is a run of single operations on a few keys, plain and
// conditional ones, checked key by key against a map. Each round goes on from
// the values that the last one left.
type registersConfig struct {
	rounds int
	ops    int // of a round, over all clients
	seed   uint64
}

const (
	registerClients = 4
	registerKeys    = 4
	registerValues  = 4 // so few that swaps succeed
)

func runRegisters(e registerEngine, c registersConfig) error {
	r := rand.New(rand.NewPCG(c.seed, 15))
	var last [registerKeys]linear.Value
	for round := range c.rounds {
		h := linear.NewHistory()
		for k, v := range last {
			op := linear.Register{Key: k, Kind: linear.Delete}
			if v.Set {
				op.Kind, op.In = linear.Put, v.N
			}
			h.Returned(registerClients, op, h.Now())
		}
		run := func(client int, r *rand.Rand, op linear.Register) (linear.Register, error) {
			call := h.Now()
			op, err := e.register(r, op)
			if err == nil {
				h.Returned(client, op, call)
			}
			return op, err
		}
		err := whileDisturbed(e, r.Uint64(), registerClients, func(client int, seed uint64) error {
			r := rand.New(rand.NewPCG(seed, 16))
			for range c.ops / registerClients {
				if _, err := run(client, r, randomRegister(r)); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && r.IntN(2) == 0 {
			err = e.reopen()
		}
		for k := range last {
			var op linear.Register
			if err == nil {
				op, err = run(registerClients, r, linear.Register{Key: k, Kind: linear.Get})
			}
			last[k] = op.Out
		}
		if err == nil {
			err = h.Check(linear.Registers(), searchTimeMax)
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

func randomRegister(r *rand.Rand) linear.Register {
	op := linear.Register{Key: r.IntN(registerKeys), In: r.Int64N(registerValues)}
	switch n := r.IntN(16); {
	case n < 2:
		op.Kind, op.In = linear.Get, 0
	case n < 3:
		op.Kind = linear.Put
	case n < 4:
		op.Kind, op.In = linear.Delete, 0
	case n < 7:
		op.Kind = linear.PutIfAbsent
	case n < 10:
		op.Kind = linear.CompareAndSwap
		if r.IntN(4) > 0 {
			op.Old = linear.Some(r.Int64N(registerValues))
		}
	case n < 13:
		op.Kind, op.In = linear.GetAndDelete, 0
	default:
		op.Kind = linear.Add
	}
	return op
}

// registers are those of the store. Half of the keys lie in another keyspace,
// half in the default one.
type registers struct {
	*store
}

// conditionalWriter is what a store, a keyspace and a transaction have.
type conditionalWriter interface {
	db.Reader
	db.Writer
	PutIfAbsent(key, value []byte) (bool, error)
	CompareAndSwap(key, old, new []byte) (bool, error)
	GetAndDelete(key []byte) ([]byte, error)
	Add(key []byte, delta int64) (int64, error)
}

// place is where register k is.
func (s registers) place(k int) (*db.Keyspace, []byte) {
	return s.places[k%2], fmt.Appendf(nil, "r%d", k)
}

// register runs op as it is, or once in a while as a transaction.
func (s registers) register(r *rand.Rand, op linear.Register) (linear.Register, error) {
	ks, key := s.place(op.Key)
	if r.IntN(8) > 0 {
		return runRegister(ks, key, op)
	}
	o := db.TxOptions{TriesMax: 1 << 30}
	if r.IntN(2) == 0 && op.Kind != linear.Get {
		o.Isolation = db.SnapshotIsolation
	}
	asked := op
	err := s.db.UpdateWith(context.Background(), o, func(tx *db.Tx) (err error) {
		op, err = runRegister(tx.In(ks), key, asked)
		return err
	})
	return op, err
}

// runRegister runs op on w.
func runRegister(w conditionalWriter, key []byte, op linear.Register) (linear.Register, error) {
	var err error
	var value []byte
	switch in := db.CounterBytes(op.In); op.Kind {
	case linear.Get:
		value, err = w.Get(key)
	case linear.Put:
		err = w.Put(key, in)
	case linear.Delete:
		err = w.Delete(key)
	case linear.PutIfAbsent:
		op.Done, err = w.PutIfAbsent(key, in)
	case linear.CompareAndSwap:
		var old []byte
		if op.Old.Set {
			old = db.CounterBytes(op.Old.N)
		}
		op.Done, err = w.CompareAndSwap(key, old, in)
	case linear.GetAndDelete:
		value, err = w.GetAndDelete(key)
	case linear.Add:
		op.Out.Set = true
		op.Out.N, err = w.Add(key, op.In)
	}
	if errors.Is(err, db.ErrNotFound) {
		return op, nil
	}
	if value != nil && err == nil {
		op.Out.Set = true
		op.Out.N, err = db.CounterValue(value)
	}
	return op, err
}

// TestRegisters checks conditional writes beside plain ones, transactions and
// background work. Values are separated in one of the runs.
func TestRegisters(t *testing.T) {
	for name, o := range map[string]func(*db.Options){
		"not synced": func(*db.Options) {},
		"synced":     func(o *db.Options) { o.Durability = db.Sync },
		"separated":  func(o *db.Options) { o.ValueThreshold = 1 },
	} {
		t.Run(name, func(t *testing.T) {
			opts := smallOptions()
			o(&opts)
			opts.FS = vfs.NewMem()
			s := openStore(t, "/store", opts)
			if err := runRegisters(registers{s}, registersConfig{rounds: size(60), ops: 400, seed: testkit.Seed(t)}); err != nil {
				t.Fatal(err)
			}
			if s.disturbances.Load() == 0 {
				t.Error("nothing was disturbed")
			}
		})
	}
	t.Run("disk", func(t *testing.T) {
		s := openStore(t, t.TempDir(), smallOptions())
		if err := runRegisters(registers{s}, registersConfig{rounds: size(30), ops: 400, seed: testkit.Seed(t)}); err != nil {
			t.Fatal(err)
		}
	})
}

// toyRegisters are a map with a lock, in which one kind of operation lets others
// in between its look and its write, or answers from the past.
type toyRegisters struct {
	*toy
	torn  linear.RegisterKind // Get: none
	stale bool                // a refusal may rest on what was there before

	at     sync.Mutex
	values [registerKeys]linear.Value
	before [registerKeys]linear.Value
}

func (e *toyRegisters) register(r *rand.Rand, op linear.Register) (linear.Register, error) {
	runtime.Gosched()
	e.at.Lock()
	defer e.at.Unlock()
	now := e.values[op.Key]
	if e.torn == op.Kind && op.Kind != linear.Get {
		e.at.Unlock()
		time.Sleep(time.Duration(r.IntN(20)) * time.Microsecond)
		e.at.Lock()
	}
	if was := e.before[op.Key]; e.stale && op.Kind == linear.PutIfAbsent && was.Set {
		return op, nil
	}
	op, after := linear.Apply(op, now)
	e.before[op.Key] = e.values[op.Key]
	e.values[op.Key] = after
	return op, nil
}

func TestRegistersFindPlantedBugs(t *testing.T) {
	for _, c := range []struct {
		name  string
		torn  linear.RegisterKind
		stale bool
	}{
		{name: "none"},
		{name: "two store", torn: linear.PutIfAbsent},
		{name: "two swap", torn: linear.CompareAndSwap},
		{name: "two take", torn: linear.GetAndDelete},
		{name: "two add", torn: linear.Add},
		{name: "stale refusals", stale: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var err error
			for try := uint64(0); try < 20 && err == nil; try++ {
				e := &toyRegisters{toy: newToy(bugNone), torn: c.torn, stale: c.stale}
				err = runRegisters(e, registersConfig{rounds: 2, ops: 400, seed: try})
			}
			if (err != nil) != (c.name != "none") {
				t.Errorf("found %v", err)
			}
		})
	}
}
