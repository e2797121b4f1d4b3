package trace

import (
	"cmp"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// Facts summarise a trace.
type Facts struct {
	Summary
	Path    string
	Started time.Time
	Hashed  bool
	// Bytes is the size of the blocks that were read, and BytesEach that of an
	// operation.
	Bytes     int64
	BytesEach float64
	// Damage is why reading ended early, nil if it did not.
	Damage error

	// Kinds are those that occur, the most frequent first. Items of batches and
	// transactions are not among them, but in Items.
	Kinds []KindFacts
	Items uint64
	// Clients and Keyspaces that occur; the default keyspace is one.
	Clients, Keyspaces int
	// Failed operations.
	Failed uint64
	// Concurrency is how many operations were under way at once, on average.
	Concurrency float64

	// Keys is how many different keys were read or written one by one, items
	// included, and Accesses how often. KeysMore: only so many could be told apart.
	Keys     uint64
	KeysMore bool
	Accesses uint64
	// Top is the share of accesses to the 1% of keys with the most.
	Top float64

	KeyBytes   Lengths
	ValueBytes Lengths // of what was written
	ReadBytes  Lengths // of what was found
	Reads      uint64  // of single keys
	Found      uint64  // of them
	// Scanned is how many entries scans and cursors have shown.
	Scanned uint64
}

// KindFacts are about the operations of a kind.
type KindFacts struct {
	Kind  Kind
	Count uint64
	Mean  time.Duration // that they took
	Max   time.Duration
}

// Lengths are about some strings of bytes.
type Lengths struct {
	Count, Sum uint64
	Min, Max   int
}

// Mean length.
func (l Lengths) Mean() float64 {
	if l.Count == 0 {
		return 0
	}
	return float64(l.Sum) / float64(l.Count)
}

func (l *Lengths) add(n int) {
	if l.Count == 0 || n < l.Min {
		l.Min = n
	}
	l.Max = max(l.Max, n)
	l.Sum += uint64(n)
	l.Count++
}

// infoKeysMax bounds the keys that Info tells apart.
const infoKeysMax = 1 << 24

// Info reads the trace at path and summarises it. Of a torn or damaged trace it
// summarises what is whole. It needs about 30 bytes for each key.
func Info(path string) (*Facts, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	c := &census{counts: make(map[uint64]uint32), clients: make(map[uint32]bool), spaces: make(map[uint32]bool)}
	c.f = Facts{Path: path, Started: r.Started(), Hashed: r.Hashed()}
	var op Op
	for err == nil {
		if err = r.Next(&op); err == nil {
			c.record(&op)
		}
	}
	if _, ok := errors.AsType[*DamageError](err); ok {
		c.f.Damage, err = err, io.EOF
	}
	c.f.Summary, c.f.Bytes = r.Summary(), r.at
	if err = errors.Join(ignoreEOF(err), r.Close()); err != nil {
		return nil, err
	}
	c.finish()
	return &c.f, nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// census collects facts.
type census struct {
	f       Facts
	counts  map[uint64]uint32 // accesses by hash of keyspace and key
	clients map[uint32]bool
	spaces  map[uint32]bool
	kinds   [kindMax + 1]KindFacts
	took    [kindMax + 1]time.Duration
	busy    time.Duration
	scratch []byte
}

func (c *census) record(op *Op) {
	if op.Kind == KindLost || op.Kind == KindKeyspace {
		return
	}
	k := &c.kinds[op.Kind]
	k.Kind = op.Kind
	k.Count++
	k.Max = max(k.Max, op.Took)
	c.took[op.Kind] += op.Took
	c.busy += op.Took
	c.clients[op.Client] = true
	if op.Error != ErrorNone || op.Tx.Outcome == TxFailed {
		c.f.Failed++
	}
	if !op.Kind.hasItems() {
		c.access(op)
		return
	}
	for i := range op.Items {
		c.access(&op.Items[i])
	}
	c.f.Items += uint64(len(op.Items)) + op.Cut
}

// access takes an operation or item without items.
func (c *census) access(op *Op) {
	c.spaces[op.Keyspace] = true
	c.f.Scanned += op.Entries
	if op.Key == nil || op.Kind == KindWalk {
		return
	}
	c.scratch = append(append(c.scratch[:0], byte(op.Keyspace), byte(op.Keyspace>>8), byte(op.Keyspace>>16),
		byte(op.Keyspace>>24)), op.Key...)
	h := xxhash.Sum64(c.scratch)
	if n, ok := c.counts[h]; ok || len(c.counts) < infoKeysMax {
		if n++; n != 0 {
			c.counts[h] = n
		}
	} else {
		c.f.KeysMore = true
	}
	c.f.Accesses++
	c.f.KeyBytes.add(len(op.Key))
	switch op.Kind {
	case KindGet, KindHas, KindGetForUpdate, KindGetAndDelete:
		c.f.Reads++
		if op.Found {
			c.f.Found++
			if op.Kind != KindHas {
				c.f.ReadBytes.add(op.Length)
			}
		}
	case KindDelete:
	case KindPutIfAbsent, KindPutIfAbsentTTL, KindCompareAndSwap:
		if op.Found && !op.Removes {
			c.f.ValueBytes.add(op.Length)
		}
	default:
		c.f.ValueBytes.add(op.Length)
	}
}

func (c *census) finish() {
	for k := range c.kinds {
		if kind := c.kinds[k]; kind.Count > 0 {
			kind.Mean = c.took[k] / time.Duration(kind.Count)
			c.f.Kinds = append(c.f.Kinds, kind)
		}
	}
	slices.SortStableFunc(c.f.Kinds, func(a, b KindFacts) int { return cmp.Compare(b.Count, a.Count) })
	f := &c.f
	f.Clients, f.Keyspaces, f.Keys = len(c.clients), len(c.spaces), uint64(len(c.counts))
	if f.Operations > 0 {
		f.BytesEach = float64(f.Bytes) / float64(f.Operations)
	}
	if f.Duration > 0 {
		f.Concurrency = float64(c.busy) / float64(f.Duration)
	}
	counts := make([]uint32, 0, len(c.counts))
	var sum uint64
	for _, n := range c.counts {
		counts = append(counts, n)
		sum += uint64(n)
	}
	slices.SortFunc(counts, func(a, b uint32) int { return cmp.Compare(b, a) })
	var top uint64
	for _, n := range counts[:(len(counts)+99)/100] {
		top += uint64(n)
	}
	if sum > 0 {
		f.Top = float64(top) / float64(sum)
	}
}
