package workload

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// The transactional workloads have records of their own, under keys that sort
// apart from those of the Model:
//
//	offset  size  meaning
//	0       8     identity: a hash of seed, prefix and number
//	8       8     how many transactions have written it
//	16      8     amount
//	24            bytes of the pool, from a place given by the identity
const (
	tallyHeaderBytes = 24
	tallyBytes       = 100
)

// tally is what such a record holds.
type tally struct {
	writes uint64
	amount int64
}

// ledger knows what is in the store under one prefix. The counts are atomic, the
// rest is immutable.
type ledger struct {
	m      *Model
	prefix byte
	total  int64
	// acknowledged counts the transactions that have written each record.
	acknowledged []atomic.Uint64
}

// newLedger stores n records with an amount each.
func newLedger(m *Model, store engine.Store, prefix byte, n int, amount int64) (*ledger, error) {
	l := &ledger{m: m, prefix: prefix, total: int64(n) * amount, acknowledged: make([]atomic.Uint64, n)}
	batch := store.NewBatch()
	var key, value []byte
	for i := range uint64(n) {
		key = m.keys.appendApart(key[:0], prefix, i)
		value = l.append(value[:0], i, tally{amount: amount})
		if err := batch.Put(key, value); err != nil {
			return nil, fmt.Errorf("storing record %q: %w", key, err)
		}
	}
	if err := batch.Commit(); err != nil {
		return nil, fmt.Errorf("storing %d records: %w", n, err)
	}
	return l, batch.Close()
}

func (l *ledger) len() int { return len(l.acknowledged) }

// bytes is the length of all keys and values.
func (l *ledger) bytes() uint64 { return uint64(l.len() * (l.m.keys.bytes + tallyBytes)) }

func (l *ledger) identity(i uint64) uint64 { return l.m.gen.identity(uint64(l.prefix)<<56 | i) }

// append appends the record with number i.
func (l *ledger) append(dst []byte, i uint64, t tally) []byte {
	identity := l.identity(i)
	dst = binary.LittleEndian.AppendUint64(dst, identity)
	dst = binary.LittleEndian.AppendUint64(dst, t.writes)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(t.amount))
	return l.m.gen.appendPool(dst, l.m.gen.place(identity, 0), tallyBytes-tallyHeaderBytes)
}

// read judges the answer of reading record i, of which atLeast writes had been
// acknowledged before the transaction began.
func (l *ledger) read(i uint64, atLeast uint64, value []byte, err error) (tally, error) {
	wrong := func(format string, args ...any) (tally, error) {
		key := l.m.keys.appendApart(nil, l.prefix, i)
		return tally{}, &WrongAnswer{Key: string(key), Problem: fmt.Sprintf(format, args...)}
	}
	identity := l.identity(i)
	switch {
	case err == engine.ErrNotFound:
		return wrong("not found; it was written %d times", atLeast)
	case err != nil:
		return tally{}, err
	case len(value) != tallyBytes:
		return wrong("%d bytes long, want %d", len(value), tallyBytes)
	case binary.LittleEndian.Uint64(value) != identity:
		return wrong("identity %016x, want %016x: another key's value, or damaged", binary.LittleEndian.Uint64(value), identity)
	case !l.m.gen.samePool(value[tallyHeaderBytes:], l.m.gen.place(identity, 0)):
		return wrong("it has damaged bytes")
	}
	t := tally{binary.LittleEndian.Uint64(value[8:]), int64(binary.LittleEndian.Uint64(value[16:]))}
	if t.writes < atLeast {
		return wrong("it shows %d transactions of at least %d: updates are lost", t.writes, atLeast)
	}
	return t, nil
}

// check reads everything, while nobody writes.
func (l *ledger) check(store engine.Store) error {
	var key, value []byte
	sum := int64(0)
	for i := range uint64(l.len()) {
		key = l.m.keys.appendApart(key[:0], l.prefix, i)
		var err error
		value, err = store.Get(value[:0], key)
		written := l.acknowledged[i].Load()
		t, err := l.read(i, written, value, err)
		if err != nil {
			return err
		}
		if t.writes != written {
			return &WrongAnswer{Key: string(key), Problem: fmt.Sprintf("it shows %d transactions; %d were committed", t.writes, written)}
		}
		sum += t.amount
	}
	return l.checkSum(sum)
}

func (l *ledger) checkSum(sum int64) error {
	if sum == l.total {
		return nil
	}
	return &WrongAnswer{Key: string(l.prefix), Problem: fmt.Sprintf("all records together hold %d, want %d", sum, l.total)}
}
