package crash

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/cordwood-db/cordwood/db"
)

// hand is one of several writers. Each of its commits has values that no other
// has, or deletes keys that only this hand writes, or removes a value that only
// one can have removed: so a feed's changes tell whose commit it is.
type hand struct {
	draws
	num   int
	crew  *Crew
	batch *db.Batch
	seq   *db.Sequence
	left  uint64 // of the lease of seq
}

func newHand(c *Crew, num int, seed uint64) *hand {
	return &hand{draws: draws{rand: rand.New(rand.NewPCG(seed, uint64(100+num))), writes: (num + 1) * 1_000_000}, num: num, crew: c}
}

// work makes some commits.
func (h *hand) work(n int) error {
	h.batch, h.seq, h.left = h.crew.Store.NewBatch(), nil, 0
	for range n {
		var err error
		switch k := h.rand.IntN(24); {
		case k < 8:
			err = h.apply()
		case k < 13:
			err = h.transact()
		case k < 17:
			err = h.direct()
		case k < 23:
			err = h.conditional()
		default:
			err = h.next()
		}
		if err != nil {
			return fmt.Errorf("writer %d: %w", h.num, err)
		}
	}
	return nil
}

// commit makes one commit. do says whether it was to write anything, and fills
// in what.
func (h *hand) commit(sync bool, do func(d *deed) (bool, error)) error {
	o := h.crew.Order
	d := o.begin(h.num, h.crew.clock.Nanos())
	d.sync = sync
	done, err := do(d)
	switch {
	case errors.Is(err, db.ErrConflict), errors.Is(err, db.ErrTxTooOld), errors.Is(err, db.ErrKeyspaceDropped):
		h.crew.refused.Add(1)
		o.refuse(h.num)
		return nil
	case err != nil:
		return err
	case !done:
		o.refuse(h.num)
		return nil
	}
	o.ack(d)
	return nil
}

// form draws the writes of a batch, the first of which tells whose it is.
func (h *hand) form(n int) (writes []Write, spaces map[string]lively) {
	spaces = h.crew.spacesNow()
	names := []string{"", "", ""}
	for name := range spaces {
		if name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	h.writes++
	writes = append(writes, Write{Op: 'p', Key: fmt.Sprintf("id/%d", h.num), Value: fmt.Append(nil, h.writes)})
	for range n {
		w := h.draw()
		w.Space = names[h.rand.IntN(len(names))]
		if w.Op == 'r' && w.Key == w.End {
			w.End += "~" // a feed does not deliver what deletes nothing
		}
		writes = append(writes, w)
	}
	return writes, spaces
}

func lives(spaces map[string]lively) Spaces {
	s := make(Spaces, len(spaces))
	for name, l := range spaces {
		s[name] = l.life
	}
	return s
}

func (h *hand) durability() db.Durability {
	return []db.Durability{db.NoSync, db.NoSync, db.NoSync, db.Sync, db.DefaultDurability}[h.rand.IntN(5)]
}

func (h *hand) syncs(d db.Durability) bool {
	return d == db.Sync || d == db.DefaultDurability && h.crew.Opts.Durability == db.Sync
}

// size is how many writes a commit has.
func (h *hand) size() int {
	if h.rand.IntN(60) == 0 {
		return 80 // larger than a memtable
	}
	return h.rand.IntN(6)
}

func (h *hand) apply() error {
	writes, spaces := h.form(h.size())
	h.batch.Reset()
	for i := range writes {
		if err := writes[i].do(h.batch.In(spaces[writes[i].Space].ks)); err != nil {
			return err
		}
	}
	dur := h.durability()
	return h.commit(h.syncs(dur), func(d *deed) (bool, error) {
		d.writes, d.spaces = writes, lives(spaces)
		return true, h.crew.Store.Apply(h.batch, dur)
	})
}

// transact makes a transaction, which reads and then writes.
func (h *hand) transact() error {
	writes, spaces := h.form(h.size())
	dur := h.durability()
	return h.commit(h.syncs(dur), func(d *deed) (bool, error) {
		tx, err := h.crew.Store.Begin(db.TxOptions{Durability: dur})
		if err != nil {
			return false, err
		}
		defer tx.Discard()
		d.writes, d.spaces = writes, lives(spaces)
		for range 1 + h.rand.IntN(3) {
			at := writes[h.rand.IntN(len(writes))].Space
			r := read{at: place{d.spaces[at], h.key()}}
			r.value, err = tx.In(spaces[at].ks).Get([]byte(r.at.key))
			if r.found = err == nil; !r.found && !errors.Is(err, db.ErrNotFound) {
				return false, err
			}
			d.reads = append(d.reads, r)
		}
		if h.rand.IntN(3) == 0 {
			if err := h.txAdd(tx, d); err != nil {
				return false, err
			}
		}
		for i := range writes {
			if err := writes[i].do(tx.In(spaces[writes[i].Space].ks)); err != nil {
				return false, err
			}
		}
		return true, tx.Commit()
	})
}

// txAdd adds to a counter in the transaction.
func (h *hand) txAdd(tx *db.Tx, d *deed) error {
	key := h.counter()
	sum, err := tx.Add([]byte(key), 1)
	if err == nil {
		d.reads = append(d.reads, counted(0, key, sum-1))
		d.writes = append([]Write{{Op: 'p', Key: key, Value: db.CounterBytes(sum)}}, d.writes...)
	}
	return err
}

// counted is a read of a counter.
func counted(life int, key string, n int64) read {
	r := read{at: place{life, key}, found: n != 0}
	if r.found {
		r.value = db.CounterBytes(n)
	}
	return r
}

func (h *hand) counter() string { return fmt.Sprintf("counter/%d", h.rand.IntN(3)) }

// direct makes a write of its own.
func (h *hand) direct() error {
	w := h.draw()
	switch w.Op {
	case 'd':
		w.Key = fmt.Sprintf("own/%d", h.num)
	case 'r':
		w.Key = fmt.Sprintf("own/%d", h.num)
		w.End = w.Key + "~"
	case 'p':
		if h.rand.IntN(3) == 0 {
			w.Key = fmt.Sprintf("own/%d", h.num)
		}
	}
	spaces := h.crew.spacesNow()
	w.Space = h.permanent()
	return h.commit(h.syncs(db.DefaultDurability), func(d *deed) (bool, error) {
		d.writes, d.spaces = []Write{w}, lives(spaces)
		return true, w.do(spaces[w.Space].ks)
	})
}

// permanent is the name of a keyspace that is never dropped.
func (h *hand) permanent() string { return []string{"", permanent}[h.rand.IntN(2)] }

// conditional makes a write that depends on what there is.
func (h *hand) conditional() error {
	space := h.permanent()
	spaces := h.crew.spacesNow()
	ks := spaces[space].ks
	key := fmt.Sprintf("swap/%d", h.rand.IntN(4))
	h.writes++
	value := fmt.Appendf(nil, "=%d.", h.writes)
	for range h.rand.IntN(3) * 60 {
		value = append(value, 'x')
	}
	return h.commit(h.syncs(db.DefaultDurability), func(d *deed) (done bool, err error) {
		d.spaces = lives(spaces)
		r := read{at: place{d.spaces[space], key}}
		w := Write{Op: 'p', Space: space, Key: key, Value: value}
		switch h.rand.IntN(5) {
		case 0:
			done, err = ks.PutIfAbsent([]byte(key), value)
		case 1:
			r.value, err = ks.GetAndDelete([]byte(key))
			done, r.found = err == nil, true
			w.Op, w.Value = 'd', nil
			if errors.Is(err, db.ErrNotFound) {
				err = nil
			}
		case 2, 3:
			r.value, err = ks.Get([]byte(key))
			if r.found = err == nil; !r.found && !errors.Is(err, db.ErrNotFound) {
				return false, err
			}
			done, err = ks.CompareAndSwap([]byte(key), r.value, value)
		default:
			w.Key = h.counter()
			sum, e := ks.Add([]byte(w.Key), 1+int64(h.num))
			r, done, err = counted(r.at.space, w.Key, sum-1-int64(h.num)), true, e
			w.Value = db.CounterBytes(sum)
		}
		d.reads, d.writes = []read{r}, []Write{w}
		return done, err
	})
}

// lease is how many numbers of a sequence a hand leases.
const lease = 2

// next draws a number of a sequence, for which it may have to lease some.
func (h *hand) next() (err error) {
	if h.seq == nil {
		if h.seq, err = h.crew.Store.Sequence([]byte("sequence"), lease); err != nil {
			return err
		}
	}
	if h.left > 0 {
		h.left--
		_, err := h.seq.Next()
		return err
	}
	return h.commit(true, func(d *deed) (bool, error) {
		n, err := h.seq.Next()
		h.left = lease - 1
		r := read{at: place{0, "sequence"}, found: n > 1}
		if r.found {
			r.value = sequenceValue(n)
		}
		d.reads = []read{r}
		d.writes = []Write{{Op: 'p', Key: "sequence", Value: sequenceValue(n + lease)}}
		return true, err
	})
}

// sequenceValue is what docs/format/sequence.md says of the next number to lease.
func sequenceValue(next uint64) []byte {
	return binary.LittleEndian.AppendUint64(append([]byte("CWSQ"), 1, 0, 0, 0), next)
}
