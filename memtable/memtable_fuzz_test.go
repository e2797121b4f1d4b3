package memtable

import (
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// FuzzApply gives Apply bytes that no commit has. What it accepts must be found
// again, what it refuses must leave the memtable usable.
func FuzzApply(f *testing.F) {
	f.Add([]byte{})
	set := base.AppendOp(nil, base.Op{Kind: base.KindSet, Key: []byte("k"), Payload: []byte("v")})
	f.Add(set)
	f.Add(set[:len(set)-1])
	f.Add(base.AppendOp(set, base.Op{Kind: base.KindRangeDelete, Key: []byte("a"), Payload: []byte("z")}))
	f.Add(base.AppendOp(set, base.Op{Kind: base.KindSetPointer, Key: []byte("p"), Payload: base.Pointer{File: 1, Size: 5}.Append(nil)}))
	f.Add(base.AppendOp(set, base.Op{Kind: base.KindSet, Keyspace: 9, Key: []byte("k")}))
	f.Fuzz(func(t *testing.T, ops []byte) {
		testkit.Bounded(t, len(ops), func() { applyAndFind(t, ops) })
	})
}

// applyAndFind applies operations to a new memtable and looks for them there.
func applyAndFind(t *testing.T, ops []byte) {
	m := New(Options{})
	defer m.Release()
	if rest, next, err := m.Apply(1, ops); err == nil {
		if ks, err := base.PeekKeyspace(rest); len(rest) > 0 && (err != nil || ks == 0) {
			t.Fatalf("stopped at keyspace %d, %v", ks, err)
		}
		it := base.OpIter{B: ops[:len(ops)-len(rest)]}
		seq := base.SeqNum(0)
		for op, ok, _ := it.Next(); ok; op, ok, _ = it.Next() {
			if seq++; op.Kind == base.KindRangeDelete {
				continue
			}
			trailer, payload, ok := m.Get(op.Key, seq)
			if !ok || trailer != base.MakeTrailer(seq, op.Kind) || string(payload) != string(op.Payload) {
				t.Fatalf("operation %d is not found", seq)
			}
		}
		if next != seq+1 {
			t.Fatalf("%d operations end at sequence number %d", seq, next)
		}
	}
	m.RangeDels()
	c := m.NewIter()
	n := 0
	for ok := c.First(); ok; ok = c.Next() {
		_, _, n = c.Key(), c.Value(), n+1
	}
	if n > len(ops) {
		t.Fatalf("%d entries from %d bytes", n, len(ops))
	}
}
