package trace

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// liar is a store in memory that does one thing wrong, once something has gone
// on.
type liar struct {
	engine.Store
	lie string

	mu    sync.Mutex
	old   map[string][]byte // the first value of each key
	calls int
}

// due reports whether the lie is to be told now.
func (l *liar) due(lie string) bool {
	if l.lie != lie {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	return l.calls%7 == 0
}

func (l *liar) Get(dst, key []byte) ([]byte, error) {
	value, err := l.Store.Get(nil, key)
	return l.answer(dst, key, value, err)
}

func (l *liar) answer(dst, key, value []byte, err error) ([]byte, error) {
	switch {
	case err != nil:
		if l.lie == "a value where there is none" {
			return append(dst, "made up"...), nil
		}
	case l.due("a lost key"):
		return dst, engine.ErrNotFound
	case l.due("a damaged byte"):
		value = slices.Clone(value)
		value[len(value)/2] ^= 1
	case l.due("a cut value"):
		value = value[:len(value)-1]
	case l.due("another key's value"):
		value = appendValue(nil, newEntry([]byte("other")).hash, 1, len(value))
	case l.lie == "a stale value":
		l.mu.Lock()
		defer l.mu.Unlock()
		if old := l.old[string(key)]; old != nil {
			value = old
		}
	}
	return append(dst, value...), err
}

func (l *liar) Put(key, value []byte) error {
	if l.due("a lost write") {
		return nil
	}
	l.mu.Lock()
	if l.old[string(key)] == nil {
		l.old[string(key)] = slices.Clone(value)
	}
	l.mu.Unlock()
	return l.Store.Put(key, value)
}

func (l *liar) Delete(key []byte) error {
	if l.due("a lost deletion") {
		return nil
	}
	return l.Store.Delete(key)
}

func (l *liar) NewBatch() engine.Batch { return &lyingBatch{l.Store.NewBatch(), l} }

type lyingBatch struct {
	engine.Batch
	l *liar
}

func (b *lyingBatch) Put(key, value []byte) error {
	if b.l.due("a torn batch") {
		return nil
	}
	return b.Batch.Put(key, value)
}

func (l *liar) MultiGet(keys [][]byte, see func(i int, value []byte, err error) error) error {
	for i, key := range keys {
		value, err := l.Store.Get(nil, key)
		if l.due("answers of a MultiGet changed over") && len(keys) > 1 {
			value, err = l.Store.Get(nil, keys[(i+1)%len(keys)])
		}
		if l.due("an answer of a MultiGet left out") {
			continue
		}
		if err := see(i, value, err); err != nil {
			return err
		}
	}
	return nil
}

func (l *liar) Update(fn func(engine.Tx) error) (int, error) {
	retries, err := l.Store.(engine.Transactor).Update(func(tx engine.Tx) error {
		err := fn(&lyingTx{tx, l})
		if l.lie == "a discarded transaction committed" {
			return nil
		}
		return err
	})
	return retries, err
}

type lyingTx struct {
	engine.Tx
	l *liar
}

func (tx *lyingTx) Get(dst, key []byte) ([]byte, error) {
	if tx.l.lie == "a transaction blind to its writes" {
		return tx.l.Store.Get(dst, key)
	}
	return tx.Tx.Get(dst, key)
}

func (tx *lyingTx) Put(key, value []byte) error {
	if tx.l.due("a lost write of a transaction") {
		return nil
	}
	return tx.Tx.Put(key, value)
}

func (l *liar) NewCursor(o engine.CursorOptions) (engine.Cursor, error) {
	if l.lie == "a scan beyond its bound" {
		o.Upper, o.Lower = nil, nil
	}
	c, err := l.Store.NewCursor(o)
	return &lyingCursor{c, l}, err
}

type lyingCursor struct {
	engine.Cursor
	l *liar
}

func (c *lyingCursor) Next() bool {
	switch {
	case c.l.due("a scan that leaves a key out"):
		c.Cursor.Next()
	case c.l.due("a scan that shows a key twice"):
		return true
	case c.l.due("a scan that ends early"):
		return false
	}
	return c.Cursor.Next()
}

func (c *lyingCursor) Value() ([]byte, error) {
	value, err := c.Cursor.Value()
	if err == nil && c.l.due("a damaged value in a scan") {
		value = slices.Clone(value)
		value[0] ^= 0x80
	}
	return value, err
}

func (c *lyingCursor) Key() []byte {
	key := c.Cursor.Key()
	if c.l.due("a made-up key in a scan") {
		key = append(slices.Clone(key), 'x')
	}
	return key
}

// lyingTrace does enough of everything for each lie to show.
func lyingTrace(t *testing.T) string {
	var ops []Op
	at := time.Duration(0)
	add := func(op Op) {
		at += 10 * time.Microsecond
		op.Start = at
		ops = append(ops, op)
	}
	item := func(kind Kind, i, n int) Op {
		op := Op{Kind: kind, Key: fmt.Appendf(nil, "key%02d", i%50), Length: n}
		if kind == KindGet {
			op.Found, op.Length = true, 100
		}
		return op
	}
	for i := range 150 {
		add(item(KindPut, i, 50+i%100))
		add(item(KindGet, i*7, 0))
		add(Op{Kind: KindBatch, Items: []Op{item(KindPut, i+1, 20), item(KindPut, i+2, 9)}})
		add(Op{Kind: KindMultiGet, Items: []Op{item(KindGet, i+1, 0), item(KindGet, i+2, 0), item(KindGet, i+3, 0)}})
		add(Op{Kind: KindScan, Entries: 20, Range: Bounds{Lower: k("key10"), Upper: k("key30"), Backward: i%2 == 0}})
		add(Op{Kind: KindTransaction, Items: []Op{item(KindGet, i, 0), item(KindPut, i, 30), item(KindGet, i, 0)}})
		add(Op{Kind: KindTransaction, Tx: TxInfo{Outcome: TxDiscarded}, Items: []Op{item(KindPut, i+5, 40)}})
		add(item(KindDelete, i+4, 0))
		add(item(KindGet, i+4, 0))
	}
	return writeOps(t, false, ops)
}

func TestLiesAreCaught(t *testing.T) {
	path := lyingTrace(t)
	for _, lie := range []string{"", "a lost key", "a value where there is none", "a damaged byte", "a cut value",
		"another key's value", "a stale value", "a lost write", "a lost deletion", "a torn batch",
		"answers of a MultiGet changed over", "an answer of a MultiGet left out", "a discarded transaction committed",
		"a transaction blind to its writes", "a lost write of a transaction", "a scan beyond its bound",
		"a scan that leaves a key out", "a scan that shows a key twice", "a scan that ends early",
		"a damaged value in a scan", "a made-up key in a scan"} {
		for _, threads := range []int{1, 3} {
			l := &liar{Store: memoryStore(t), lie: lie, old: make(map[string][]byte)}
			r, err := NewReplay(path, l, engine.Transactions, ReplayOptions{Threads: threads, Verify: true})
			must(t, err)
			got := play(r, true)
			wrong, ok := errors.AsType[*workload.WrongAnswer](got.err)
			switch {
			case lie == "" && got.err != nil:
				t.Errorf("the truth, %d clients: %v", threads, got.err)
			case lie != "" && !ok:
				t.Errorf("%s, %d clients: %d operations, error %v", lie, threads, got.ops, got.err)
			case lie != "" && !strings.HasPrefix(wrong.Error(), "WRONG ANSWER"):
				t.Errorf("%s: %v", lie, wrong)
			}
		}
	}
}

// A value that has expired may be missing, and must be, in time.
func TestExpiredValues(t *testing.T) {
	e := newEntry(k("key"))
	var scratch []byte
	e.expiry.Store(&expiry{from: 10 * time.Second, to: 10 * time.Second})
	e.ack(e.issue(expiring, 20), 0)
	value := appendValue(nil, e.hash, 1, 20)
	for _, c := range []struct {
		at             time.Duration
		value, missing bool // may be
	}{{0, true, false}, {8 * time.Second, true, false}, {9500 * time.Millisecond, true, true}, {10 * time.Second, true, true},
		{10900 * time.Millisecond, true, true}, {12 * time.Second, false, true}} {
		v := e.view(c.at)
		if got := e.checkValue(v, value, &scratch) == ""; got != c.value {
			t.Errorf("at %v the value may be there: %v", c.at, got)
		}
		if got := e.checkMissing(v, c.at) == ""; got != c.missing {
			t.Errorf("at %v it may be missing: %v", c.at, got)
		}
	}
}

// Merges are checked by their length.
func TestMergedValues(t *testing.T) {
	e := newEntry(k("key"))
	var scratch []byte
	e.ack(e.issueMerge(8), 0)
	e.ack(e.issueMerge(5), 0)
	v := e.view(0)
	if p := e.checkValue(v, make([]byte, 13), &scratch); p != "" {
		t.Error(p)
	}
	if e.checkValue(v, make([]byte, 8), &scratch) == "" || e.checkMissing(v, 0) == "" {
		t.Error("a lost merge is not noticed")
	}
	e.issueMerge(2) // under way
	if e.checkValue(v, make([]byte, 13), &scratch) != "" || e.checkValue(v, make([]byte, 15), &scratch) != "" ||
		e.checkValue(v, make([]byte, 14), &scratch) == "" {
		t.Error("a merge under way")
	}
	e.ack(e.issue(exact, 20), 0)
	if e.checkValue(e.view(0), appendValue(nil, e.hash, 4, 20), &scratch) != "" || e.checkValue(e.view(0), make([]byte, 20), &scratch) == "" {
		t.Error("a put behind merges")
	}
}

// Between what was acknowledged before a read and what was issued by its end,
// anything may be seen, and nothing else.
func TestReadsBesideWrites(t *testing.T) {
	for _, length := range []int{0, 1, 5, 8, 9, 100} {
		e := newEntry(k("key"))
		var scratch []byte
		value := func(version uint64) []byte { return appendValue(nil, e.hash, version, length) }
		for range 3 {
			e.ack(e.issue(exact, length), 0)
		}
		v := e.view(0) // version 3
		e.ack(e.issue(exact, length), 0)
		e.issue(exact, length) // version 5 is under way
		for version := range uint64(8) {
			may := version >= 3 && version <= 5
			got := e.checkValue(v, value(version), &scratch) == ""
			if got != may && length > 5 {
				t.Errorf("%d bytes: version %d may be seen: %v", length, version, got)
			}
			if may && !got {
				t.Errorf("%d bytes: version %d may not be seen", length, version)
			}
		}
		if e.checkMissing(v, 0) == "" {
			t.Errorf("%d bytes: may be missing", length)
		}
		w := e.view(0)
		e.ack(e.issue(exact, length), 0)
		e.ack(e.issue(missing, 0), 0)
		e.ack(e.issue(exact, length), 0)
		if p := e.checkMissing(w, 0); p != "" {
			t.Errorf("%d bytes: deleted meanwhile: %s", length, p)
		}
	}
}
