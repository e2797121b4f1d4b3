package isolation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
	"github.com/cordwood-db/cordwood/test/isolation/linear"
)

// transactionsConfig is a run of short transactions over few keys, checked
// against the model that runs one after the other. Each round goes on from the
// map that the last one left.
type transactionsConfig struct {
	rounds int
	txns   int // of a round, over all clients
	seed   uint64
}

const transactionClients = 4

// searchTimeMax is far more than a search takes: histories are short.
const searchTimeMax = 5 * time.Minute

// transactions is a round in progress.
type transactions struct {
	engine  engine
	history *linear.History
}

func runTransactions(e engine, c transactionsConfig) error {
	r := rand.New(rand.NewPCG(c.seed, 5))
	var last []linear.Step // writes that make the map the last round left
	for round := range c.rounds {
		t := &transactions{e, linear.NewHistory()}
		t.history.Returned(transactionClients, linear.Txn(last), t.history.Now())
		err := whileDisturbed(e, r.Uint64(), transactionClients, func(client int, seed uint64) error {
			r := rand.New(rand.NewPCG(seed, 6))
			for range c.txns / transactionClients {
				if _, err := t.transact(client, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && r.IntN(2) == 0 {
			err = e.reopen()
		}
		if err == nil {
			last, err = t.readAll()
		}
		if err == nil {
			err = t.history.Check(linear.Transactions(), searchTimeMax)
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

// place is where key k of the model lies: the first half in one keyspace, the
// second in another.
func place(k int) (space int, key string) {
	if k < linear.Keys/2 {
		return 0, fmt.Sprintf("t%d", k)
	}
	return 1, fmt.Sprintf("t%d", k)
}

// transact runs one random transaction and notes it. What one with a conflict
// read is noted as a transaction that only reads. known is false if nobody knows
// whether the transaction happened.
func (t *transactions) transact(client int, r *rand.Rand) (known bool, err error) {
	call := t.history.Now()
	readOnly := r.IntN(8) == 0
	x, err := t.engine.begin(depgraph.Serializable, readOnly)
	if err != nil {
		return false, err
	}
	defer x.discard()
	var steps linear.Txn
	for range 1 + r.IntN(4) {
		if r.IntN(50) == 0 {
			time.Sleep(time.Duration(r.IntN(300)) * time.Microsecond)
		}
		more, err := randomStep(r, x, readOnly)
		if err != nil {
			return false, err
		}
		steps = append(steps, more...)
	}
	switch err := x.commit(); {
	case err == nil:
		t.history.Returned(client, steps, call)
	case errors.Is(err, errConflict):
		// Own writes may show in the answers: they stay, for what was read
		// after them, and are undone for those who come later.
		if reads := beforeWrites(steps); len(reads) > 0 {
			t.history.Returned(client, reads, call)
		}
	case errors.Is(err, errUnknown):
		t.history.Unknown(client, steps, call)
		return false, nil
	default:
		return false, err
	}
	return true, nil
}

// errUnknown is what commit says when nobody can know.
var errUnknown = errors.New("outcome unknown")

// beforeWrites are the steps up to the first write.
func beforeWrites(steps linear.Txn) linear.Txn {
	for i, s := range steps {
		if s.Kind == linear.Write || s.Kind == linear.Remove {
			return steps[:i]
		}
	}
	return steps
}

// randomStep runs one step, or two that belong together.
func randomStep(r *rand.Rand, x txn, readOnly bool) (linear.Txn, error) {
	k := r.IntN(linear.Keys)
	n := r.IntN(12)
	if readOnly {
		n %= 6
	}
	switch {
	case n < 3:
		return readKey(x, k)
	case n < 6:
		return readRange(r, x)
	case n < 8:
		return writeKey(r, x, k)
	case n < 9:
		space, key := place(k)
		return linear.Txn{{Kind: linear.Remove, Key: k}}, x.remove(space, key)
	case n < 10:
		return removeRange(r, x)
	}
	// Insert where nobody is: what phantoms break.
	steps, err := readRange(r, x)
	if err != nil || steps[0].Count > 0 {
		return steps, err
	}
	more, err := writeKey(r, x, steps[0].Key)
	return append(steps, more...), err
}

func readKey(x txn, k int) (linear.Txn, error) {
	space, key := place(k)
	text, ok, err := x.get(space, key)
	if err != nil || !ok {
		return linear.Txn{{Kind: linear.Read, Key: k}}, err
	}
	n, err := number(text)
	return linear.Txn{{Kind: linear.Read, Key: k, Out: linear.Some(n)}}, err
}

func writeKey(r *rand.Rand, x txn, k int) (linear.Txn, error) {
	space, key := place(k)
	s := linear.Step{Kind: linear.Write, Key: k, In: r.Int64N(1000)}
	return linear.Txn{s}, x.put(space, key, numberText(s.In))
}

// bounds is a random range of keys of one keyspace.
func bounds(r *rand.Rand) (from, end int) {
	const half = linear.Keys / 2
	from, end = r.IntN(half), 1+r.IntN(half)
	if from >= end {
		from, end = 0, half
	}
	if r.IntN(2) == 0 {
		return from + half, end + half
	}
	return from, end
}

func removeRange(r *rand.Rand, x txn) (linear.Txn, error) {
	from, end := bounds(r)
	space, start := place(from)
	var steps linear.Txn
	for k := from; k < end; k++ {
		steps = append(steps, linear.Step{Kind: linear.Remove, Key: k})
	}
	return steps, x.removeRange(space, start, fmt.Sprintf("t%d", end))
}

func readRange(r *rand.Rand, x txn) (linear.Txn, error) {
	from, end := bounds(r)
	space, start := place(from)
	found, err := x.scan(space, start, fmt.Sprintf("t%d", end), r.IntN(2) == 0)
	s := linear.Step{Kind: linear.Range, Key: from, End: end, Count: len(found), Out: linear.Some(0)}
	for _, p := range found {
		n, e := number(p.value)
		s.Out.N += n
		err = errors.Join(err, e)
	}
	return linear.Txn{s}, err
}

// readAll ends a round with a transaction that reads every key. The result are
// writes that make the same map.
func (t *transactions) readAll() ([]linear.Step, error) {
	call := t.history.Now()
	x, err := t.engine.begin(depgraph.Serializable, true)
	if err != nil {
		return nil, err
	}
	defer x.discard()
	var steps, writes linear.Txn
	for k := range linear.Keys {
		s, err := readKey(x, k)
		if err != nil {
			return nil, err
		}
		steps = append(steps, s...)
		if v := s[0].Out; v.Set {
			writes = append(writes, linear.Step{Kind: linear.Write, Key: k, In: v.N})
		}
	}
	if err := x.commit(); err != nil {
		return nil, err
	}
	t.history.Returned(transactionClients, steps, call)
	return writes, nil
}

// numberText is a value of the map; some are long enough to be separated.
func numberText(n int64) string {
	if n%9 == 0 {
		return fmt.Sprint(n, strings.Repeat(" ", 700))
	}
	return strconv.FormatInt(n, 10)
}

func number(text string) (int64, error) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err == nil && numberText(n) != text {
		err = fmt.Errorf("%q is not a value that was written", text)
	}
	return n, err
}
