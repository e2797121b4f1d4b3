package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// writers is how many there are: eight that write data, and one that makes and
// drops keyspaces.
const writers = 9

// writer makes numbered steps. What the store holds follows from the number of
// the last one, so that a step that was committed and not acknowledged can be
// told from one that was not.
type writer interface {
	// step makes step n, after n-1. Its commit puts the number at stepKey.
	step(s *stage, n int) error
	// check says which step is the last, and how many keys there are. Whatever
	// is not as it has to be after that step is an error.
	check(s *stage) (n, keys int, err error)
}

// stage is a store with the keyspaces that stay and its writers.
type stage struct {
	store   *db.DB
	spaces  [5]*db.Keyspace // default, one, two, sums, lists
	writers [writers]writer

	snapshot *db.Snapshot // if not nil, checks read it
	elsewhen bool         // the set of keyspaces may be from another time than the data
}

const (
	inDefault = iota
	inOne
	inTwo
	inSums
	inLists
)

func newStage(store *db.DB) (*stage, error) {
	s := &stage{store: store}
	s.spaces[inDefault] = store.Default()
	for i, k := range []struct {
		name string
		o    db.KeyspaceOptions
	}{
		inOne: {"one", db.KeyspaceOptions{ValueThreshold: 1000}}, inTwo: {"two", db.KeyspaceOptions{ValueThreshold: -1, BlockBytes: 500}},
		inSums: {"sums", db.KeyspaceOptions{Merge: db.Counter()}}, inLists: {"lists", db.KeyspaceOptions{Merge: db.Append()}},
	} {
		if i == inDefault {
			continue
		}
		ks, err := store.Keyspace(k.name, &k.o)
		if err != nil {
			return nil, err
		}
		s.spaces[i] = ks
	}
	s.writers = [writers]writer{
		&batchWriter{w: 0, d: db.Sync}, &txWriter{batchWriter{w: 1, d: db.NoSync}},
		&batchWriter{w: 2, d: db.NoSync, ranges: true}, &txWriter{batchWriter{w: 3, d: db.Sync, ranges: true}},
		&conditionalWriter{w: 4}, &sequenceWriter{w: 5}, &ttlWriter{w: 6}, &mergeWriter{w: 7}, &keyspaceWriter{w: 8},
	}
	return s, nil
}

// in reads one of the keyspaces.
func (s *stage) in(space int) db.Reader {
	if s.snapshot != nil {
		return s.snapshot.In(s.spaces[space])
	}
	return s.spaces[space]
}

// stepPrefix is that of the keys at which writers put the number of their last
// step: what feeds are for.
const stepPrefix = "step/"

func stepKey(w int) []byte { return fmt.Appendf(nil, "%s%d", stepPrefix, w) }

// stepValue is what a writer puts there.
func stepValue(n int) []byte { return fmt.Appendf(nil, "%d;", n) }

func stepIn(v []byte) (n int, err error) {
	_, err = fmt.Sscanf(string(v), "%d;", &n)
	return n, err
}

// lastStep is the number of the writer's last step, -1 before the first, and
// how many keys say so.
func lastStep(from db.Reader, w int) (n, keys int, err error) {
	v, err := from.Get(stepKey(w))
	if errors.Is(err, db.ErrNotFound) {
		return -1, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	n, err = stepIn(v)
	return n, 1, err
}

// want reports that key n of a writer does not have the value that it should.
func want(from db.Reader, key, value []byte) error {
	got, err := from.Get(key)
	if err != nil || !bytes.Equal(got, value) {
		return fmt.Errorf("key %q: %d bytes, %w; want %d", key, len(got), err, len(value))
	}
	return nil
}

const (
	batchKeys = 3
	stepsKept = 40 // each writer deletes what is older
)

func batchKey(w, n, i int) []byte { return fmt.Appendf(nil, "batch/%d/%08d/%d", w, n, i) }

// batchValue is a value that says where it belongs; every third is large.
func batchValue(w, n, i int) []byte {
	v := fmt.Appendf(nil, "%d/%d/%d:", w, n, i)
	if (n+i)%3 == 0 {
		v = append(v, strings.Repeat(string(rune('0'+n%10)), 600+n%1500)...)
	}
	return v
}

// batchWriter commits batches over three keyspaces.
type batchWriter struct {
	w      int
	d      db.Durability
	ranges bool // delete by range
}

// write makes the writes of step n.
func (b *batchWriter) write(s *stage, n int, in func(*db.Keyspace) db.Writer) error {
	for i := range batchKeys {
		to := in(s.spaces[i])
		if err := to.Put(batchKey(b.w, n, i), batchValue(b.w, n, i)); err != nil {
			return err
		}
		if n < stepsKept {
			continue
		}
		old := batchKey(b.w, n-stepsKept, i)
		var err error
		if b.ranges {
			err = to.DeleteRange(db.Between(batchKey(b.w, 0, 0), append(old, 0)))
		} else {
			err = to.Delete(old)
		}
		if err != nil {
			return err
		}
	}
	return in(s.spaces[inDefault]).Put(stepKey(b.w), stepValue(n))
}

func (b *batchWriter) step(s *stage, n int) error {
	batch := s.store.NewBatch()
	if err := b.write(s, n, batch.In); err != nil {
		return err
	}
	return s.store.Apply(batch, b.d)
}

func (b *batchWriter) check(s *stage) (n, keys int, err error) {
	n, keys, err = lastStep(s.in(inDefault), b.w)
	if err != nil {
		return n, keys, err
	}
	first := max(0, n-stepsKept+1)
	for i := range batchKeys {
		var ks [][]byte
		for at := first; at <= n; at++ {
			ks = append(ks, batchKey(b.w, at, i))
		}
		values, err := s.in(i).MultiGet(ks...)
		if err != nil {
			return n, keys, err
		}
		for j, v := range values {
			if at := first + j; !bytes.Equal(v, batchValue(b.w, at, i)) {
				return n, keys, fmt.Errorf("step %d of %d, key %d: %d bytes", at, n, i, len(v))
			}
			keys++
		}
	}
	return n, keys, nil
}

// txWriter commits transactions that count on from what they read, and move
// something between accounts: they conflict with each other.
type txWriter struct{ batchWriter }

const accounts = 4

func accountKey(i int) []byte { return fmt.Appendf(nil, "account/%d", i) }

func balance(from db.Reader, i int) (int64, bool, error) {
	v, err := from.Get(accountKey(i))
	if errors.Is(err, db.ErrNotFound) {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, err
	}
	n, err := db.CounterValue(v)
	return n, true, err
}

func (x *txWriter) step(s *stage, n int) error {
	return s.store.UpdateWith(context.Background(), db.TxOptions{Durability: x.d}, func(tx *db.Tx) error {
		last, _, err := lastStep(tx, x.w)
		if err != nil || last != n-1 {
			return fmt.Errorf("step %d comes after %d, %w", n, last, err)
		}
		for i, sum := range map[int]int64{n % accounts: -1, (n + 1) % accounts: 1} {
			b, _, err := balance(tx, i)
			if err != nil {
				return err
			}
			if err := tx.Put(accountKey(i), db.CounterBytes(b+sum)); err != nil {
				return err
			}
		}
		return x.write(s, n, func(ks *db.Keyspace) db.Writer { return tx.In(ks) })
	})
}

func (x *txWriter) check(s *stage) (n, keys int, err error) {
	n, keys, err = x.batchWriter.check(s)
	if err != nil || x.w != 1 { // once is enough
		return n, keys, err
	}
	sum := int64(0)
	for i := range accounts {
		b, ok, err := balance(s.in(inDefault), i)
		if err != nil {
			return n, keys, err
		}
		if ok {
			keys++
		}
		sum += b
	}
	if sum != 0 {
		return n, keys, fmt.Errorf("the accounts hold %d together", sum)
	}
	return n, keys, nil
}

// conditionalWriter makes each step of four writes, each of which looks first:
// what an interrupted step has done already is left as it is.
type conditionalWriter struct{ w int }

func absentKey(n int) []byte { return fmt.Appendf(nil, "absent/%08d", n) }

var addedKey = []byte("added")

// swapped is the value of step n, large now and then.
func (c *conditionalWriter) swapped(n int) []byte {
	if n < 0 {
		return nil
	}
	return append(stepValue(n), bytes.Repeat([]byte{'x'}, n%4*300)...)
}

func (c *conditionalWriter) step(s *stage, n int) error {
	value := batchValue(c.w, n, 0)
	if stored, err := s.store.PutIfAbsent(absentKey(n), value); err != nil {
		return err
	} else if !stored {
		if err := want(s.store, absentKey(n), value); err != nil {
			return err
		}
	}
	if n >= stepsKept {
		if _, err := s.store.GetAndDelete(absentKey(n - stepsKept)); err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
	}
	sum, err := s.added()
	if err != nil {
		return err
	}
	if sum == int64(n) {
		if sum, err = s.store.Add(addedKey, 1); err != nil || sum != int64(n)+1 {
			return fmt.Errorf("adding 1 in step %d gives %d, %w", n, sum, err)
		}
	}
	var ok bool
	if n == 0 {
		ok, err = s.store.PutIfAbsent(stepKey(c.w), c.swapped(n))
	} else {
		ok, err = s.store.CompareAndSwap(stepKey(c.w), c.swapped(n-1), c.swapped(n))
	}
	if err == nil && !ok {
		err = fmt.Errorf("step %d of writer %d is refused", n, c.w)
	}
	return err
}

// added is the sum of what conditional writers have added.
func (s *stage) added() (int64, error) {
	v, err := s.in(inDefault).Get(addedKey)
	if errors.Is(err, db.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return db.CounterValue(v)
}

func (c *conditionalWriter) check(s *stage) (n, keys int, err error) {
	n, keys, err = lastStep(s.in(inDefault), c.w)
	if err != nil {
		return n, keys, err
	}
	if n >= 0 {
		if err := want(s.in(inDefault), stepKey(c.w), c.swapped(n)); err != nil {
			return n, keys, err
		}
	}
	sum, err := s.added()
	if err != nil || sum != int64(n)+1 && sum != int64(n)+2 {
		return n, keys, fmt.Errorf("%d were added in %d steps, %w", sum, n+1, err)
	}
	if sum > 0 {
		keys++
	}
	begun, err := s.in(inDefault).Has(absentKey(n + 1))
	if err != nil {
		return n, keys, err
	}
	last := n
	if begun {
		last++
	}
	for at := max(0, n+1-stepsKept); at <= last; at++ {
		err := want(s.in(inDefault), absentKey(at), batchValue(c.w, at, 0))
		if at == n+1-stepsKept && begun && errors.Is(err, db.ErrNotFound) {
			continue // deleted by the step that was begun
		}
		if err != nil {
			return n, keys, err
		}
		keys++
	}
	return n, keys, nil
}

// sequenceWriter takes numbers of two leases on one sequence.
type sequenceWriter struct {
	w    int
	seqs []*db.Sequence
}

var sequenceKey = []byte("sequence")

func (q *sequenceWriter) step(s *stage, n int) error {
	for lease := uint64(3); len(q.seqs) < 2; lease += 7 {
		seq, err := s.store.Sequence(sequenceKey, lease)
		if err != nil {
			return err
		}
		q.seqs = append(q.seqs, seq)
	}
	for _, seq := range q.seqs {
		number, err := seq.Next()
		if err != nil {
			return err
		}
		if err := say("number %d", number); err != nil {
			return err
		}
	}
	b := s.store.NewBatch()
	return errors.Join(b.Put(stepKey(q.w), stepValue(n)), s.store.Apply(b, db.NoSync))
}

func (q *sequenceWriter) check(s *stage) (n, keys int, err error) {
	return lastStep(s.in(inDefault), q.w)
}

// ttlWriter writes values that expire in an hour, and others that expire at
// once, over such that do not expire.
type ttlWriter struct{ w int }

func longKey(n int) []byte { return fmt.Appendf(nil, "ttl/long/%08d", n) }

func shortKey(n int) []byte { return fmt.Appendf(nil, "ttl/short/%d", n/2%10) }

func (x *ttlWriter) step(s *stage, n int) error {
	b := s.store.NewBatch()
	err := errors.Join(b.PutTTL(longKey(n), batchValue(x.w, n, 0), time.Hour), b.Delete(longKey(n-stepsKept)),
		b.Put(stepKey(x.w), stepValue(n)))
	if n%2 == 0 {
		err = errors.Join(err, b.Put(shortKey(n), batchValue(x.w, n, 1)))
	} else {
		err = errors.Join(err, b.PutTTL(shortKey(n), batchValue(x.w, n, 1), 1))
	}
	return errors.Join(err, s.store.Apply(b, db.NoSync))
}

func (x *ttlWriter) check(s *stage) (n, keys int, err error) {
	n, keys, err = lastStep(s.in(inDefault), x.w)
	if err != nil {
		return n, keys, err
	}
	for at := max(0, n-stepsKept+1); at <= n; at++ {
		if err := want(s.in(inDefault), longKey(at), batchValue(x.w, at, 0)); err != nil {
			return n, keys, err
		}
		keys++
	}
	for at := 0; at < 20; at += 2 {
		if n%2 == 0 && slices.Equal(shortKey(at), shortKey(n)) {
			if err := want(s.in(inDefault), shortKey(at), batchValue(x.w, n, 1)); err != nil {
				return n, keys, err
			}
			keys++
		} else if _, err := s.in(inDefault).Get(shortKey(at)); !errors.Is(err, db.ErrNotFound) {
			return n, keys, fmt.Errorf("%q after step %d: it has expired, or was never there; %w", shortKey(at), n, err)
		}
	}
	return n, keys, nil
}

// mergeWriter adds to a number and to lists, which it starts anew now and then.
type mergeWriter struct{ w int }

const (
	mergeRound = 50
	lists      = 3
)

var sumKey = []byte("sum")

func listKey(n int) []byte { return fmt.Appendf(nil, "list/%d", n%lists) }

func (m *mergeWriter) step(s *stage, n int) error {
	b := s.store.NewBatch()
	sums, of := b.In(s.spaces[inSums]), b.In(s.spaces[inLists])
	var err error
	if n%mergeRound == 0 {
		err = errors.Join(sums.Put(sumKey, db.CounterBytes(0)), of.DeleteRange(db.All()))
	}
	return errors.Join(err, sums.Merge(sumKey, db.CounterBytes(int64(n))), of.Merge(listKey(n), stepValue(n)),
		b.Put(stepKey(m.w), stepValue(n)), s.store.Apply(b, db.NoSync))
}

func (m *mergeWriter) check(s *stage) (n, keys int, err error) {
	n, keys, err = lastStep(s.in(inDefault), m.w)
	if err != nil || n < 0 {
		return n, keys, err
	}
	var sum int64
	values := map[string][]byte{}
	for at := n - n%mergeRound; at <= n; at++ {
		sum += int64(at)
		values[string(listKey(at))] = append(values[string(listKey(at))], stepValue(at)...)
	}
	if err := want(s.in(inSums), sumKey, db.CounterBytes(sum)); err != nil {
		return n, keys, err
	}
	for k, v := range values {
		if err := want(s.in(inLists), []byte(k), v); err != nil {
			return n, keys, err
		}
	}
	return n, keys + 1 + len(values), nil
}
