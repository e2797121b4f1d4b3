package memtable

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/internal/testkit"
)

// builder encodes commits and remembers what they did.
type builder struct {
	seq       base.SeqNum
	ops       []byte
	entries   []iterator.Entry
	tombs     []rangedel.Tombstone
	deletes   int
	vlogBytes uint64
}

func newBuilder() *builder { return &builder{seq: 1} }

func (b *builder) add(kind base.Kind, key, payload []byte) {
	b.ops = base.AppendOp(b.ops, base.Op{Kind: kind, Key: key, Payload: payload})
	key, payload = bytes.Clone(key), bytes.Clone(payload)
	if kind == base.KindRangeDelete {
		b.tombs = append(b.tombs, rangedel.Tombstone{Start: key, End: payload, Seq: b.seq})
	} else {
		b.entries = append(b.entries, iterator.Entry{
			Key: base.InternalKey{User: key, Trailer: base.MakeTrailer(b.seq, kind)}, Value: payload,
		})
	}
	if kind == base.KindDelete {
		b.deletes++
	}
	b.seq++
}

// commit applies what was added since the last commit.
func (b *builder) commit(t testing.TB, m *Memtable, first base.SeqNum) {
	t.Helper()
	if rest, next, err := m.Apply(first, b.ops); err != nil || len(rest) > 0 || next != b.seq {
		t.Fatalf("%d bytes left, next sequence number %d, %v", len(rest), next, err)
	}
	for i := range b.ops { // Apply may keep none of it
		b.ops[i] = 0xee
	}
	b.ops = b.ops[:0]
}

func (b *builder) sorted() []iterator.Entry {
	out := slices.Clone(b.entries)
	slices.SortFunc(out, func(x, y iterator.Entry) int { return x.Key.Compare(y.Key) })
	return out
}

// keyStyles are ways in which keys may resemble each other.
var keyStyles = map[string]func(rng *rand.Rand, i int) []byte{
	"few keys":      func(rng *rand.Rand, _ int) []byte { return fmt.Appendf(nil, "k%d", rng.IntN(20)) },
	"common prefix": func(rng *rand.Rand, _ int) []byte { return fmt.Appendf(nil, "user/%06d", rng.IntN(100_000)) },
	"ascending":     func(_ *rand.Rand, i int) []byte { return fmt.Appendf(nil, "k%09d", i) },
	"descending":    func(_ *rand.Rand, i int) []byte { return fmt.Appendf(nil, "k%09d", 1_000_000-i) },
	"any bytes": func(rng *rand.Rand, _ int) []byte {
		b := make([]byte, rng.IntN(12))
		for i := range b {
			b[i] = "\x00\x01\x7f\xff"[rng.IntN(4)]
		}
		return b
	},
	"leaves the prefix": func(rng *rand.Rand, i int) []byte {
		if i > 300 && i%3 == 0 {
			return fmt.Appendf(nil, "%c%d", "az"[i&1], rng.IntN(1000))
		}
		return fmt.Appendf(nil, "middle/of/the/road/%d", rng.IntN(1000))
	},
}

func fill(t testing.TB, rng *rand.Rand, m *Memtable, b *builder, key func(*rand.Rand, int) []byte, n int) {
	for i := 0; i < n; {
		first := b.seq
		for range 1 + rng.IntN(1+rng.IntN(200)) {
			k := key(rng, i)
			switch rng.IntN(8) {
			case 0:
				b.add(base.KindDelete, k, nil)
			case 1:
				b.add(base.KindMerge, k, []byte("operand"))
			case 2:
				p := base.Pointer{File: 3, Offset: uint32(i), Size: 100 + uint32(i), ValueLen: 80}
				b.add(base.KindSetPointer, k, p.Append(nil))
				b.vlogBytes += uint64(p.Size)
			default:
				b.add(base.KindSet, k, fmt.Appendf(nil, "value %d", i))
			}
			i++
		}
		b.commit(t, m, first)
	}
}

func TestEverythingAppliedIsFound(t *testing.T) {
	for name, key := range keyStyles {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 1))
			m, b := New(Options{}), newBuilder()
			defer m.Release()
			fill(t, rng, m, b, key, 6000)
			sorted := b.sorted()
			checkCounters(t, m, b)
			walk(t, m.NewIter(), sorted)
			for range 4000 {
				e := sorted[rng.IntN(len(sorted))]
				checkGet(t, m, sorted, e.Key.User, e.Key.Trailer.SeqNum()-base.SeqNum(rng.IntN(3)))
				checkGet(t, m, sorted, key(rng, rng.IntN(12_000)), base.SeqNum(rng.Uint64N(uint64(b.seq)+3)))
			}
		})
	}
}

func checkCounters(t *testing.T, m *Memtable, b *builder) {
	t.Helper()
	if m.Entries() != len(b.entries) || m.Deletes() != b.deletes || m.VlogBytes() != b.vlogBytes ||
		m.RangeDeletes() != len(b.tombs) || m.Empty() || m.MinSeq() != 1 || m.MaxSeq() != b.seq-1 {
		t.Errorf("%d entries, %d deletes, %d range deletes, %d value log bytes, sequence numbers %d to %d; want %d, %d, %d, %d, 1 to %d",
			m.Entries(), m.Deletes(), m.RangeDeletes(), m.VlogBytes(), m.MinSeq(), m.MaxSeq(),
			len(b.entries), b.deletes, len(b.tombs), b.vlogBytes, b.seq-1)
	}
	n := 0
	for _, e := range b.entries {
		n += len(e.Key.User) + len(e.Value)
	}
	if got := m.Bytes(); got < int64(n) || got > int64(n+len(b.entries)*64+len(b.tombs)*400) {
		t.Errorf("Bytes is %d for %d entries with %d bytes", got, len(b.entries), n)
	}
}

func checkGet(t *testing.T, m *Memtable, sorted []iterator.Entry, key []byte, visible base.SeqNum) {
	t.Helper()
	target := base.InternalKey{User: key, Trailer: base.SeekTrailer(visible)}
	i, _ := slices.BinarySearchFunc(sorted, target, func(e iterator.Entry, k base.InternalKey) int { return e.Key.Compare(k) })
	trailer, payload, ok := m.Get(key, visible)
	want := i < len(sorted) && bytes.Equal(sorted[i].Key.User, key)
	if ok != want {
		t.Fatalf("Get(%q, %d) found: %v, want %v", key, visible, ok, want)
	}
	if ok && (trailer != sorted[i].Key.Trailer || !bytes.Equal(payload, sorted[i].Value)) {
		t.Fatalf("Get(%q, %d) = %d, %q, want %v = %q", key, visible, trailer, payload, sorted[i].Key, sorted[i].Value)
	}
}

func walk(t *testing.T, it iterator.Iterator, want []iterator.Entry) {
	t.Helper()
	i := 0
	for ok := it.First(); ok; ok = it.Next() {
		if i == len(want) || it.Key().Compare(want[i].Key) != 0 || !bytes.Equal(it.Value(), want[i].Value) {
			t.Fatalf("entry %d of %d upwards is %v = %q", i, len(want), it.Key(), it.Value())
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("%d of %d entries upwards", i, len(want))
	}
	for ok := it.Last(); ok; ok = it.Prev() {
		i--
		if i < 0 || it.Key().Compare(want[i].Key) != 0 || !bytes.Equal(it.Value(), want[i].Value) {
			t.Fatalf("entry %d of %d downwards is %v = %q", i, len(want), it.Key(), it.Value())
		}
	}
	if i != 0 {
		t.Fatalf("%d entries left downwards", i)
	}
	if err := errors.Join(it.Err(), it.Close()); err != nil {
		t.Fatal(err)
	}
}

// A cursor must do what the simplest Iterator over the same entries does,
// whatever calls come.
func TestCursorAgreesWithASortedSlice(t *testing.T) {
	testkit.Sequential(t)
	for name, key := range keyStyles {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(12) {
				rng := rand.New(rand.NewPCG(seed, 2))
				m, b := New(Options{}), newBuilder()
				fill(t, rng, m, b, key, rng.IntN(3000))
				compareCursors(t, rng, m.NewIter(), iterator.NewSlice(b.sorted()), func() []byte { return key(rng, rng.IntN(6000)) })
				m.Release()
				if t.Failed() {
					t.Fatalf("seed %d", seed)
				}
			}
		})
	}
}

func compareCursors(t *testing.T, rng *rand.Rand, got, want iterator.Iterator, key func() []byte) {
	t.Helper()
	drift := 0
	for step := range 4000 {
		op := rng.IntN(150)
		if step == 0 {
			op %= 4
		}
		var a, b bool
		switch op {
		case 0:
			a, b = got.First(), want.First()
		case 1:
			a, b = got.Last(), want.Last()
		case 2:
			k, trailer := key(), base.SeekTrailer(base.SeqNum(rng.IntN(4000)))
			a, b = got.SeekGE(k, trailer), want.SeekGE(k, trailer)
		case 3:
			k := key()
			a, b = got.SeekLT(k), want.SeekLT(k)
		default:
			if rng.IntN(60) == 0 {
				drift = rng.IntN(3)
			}
			if drift == 1 || drift == 2 && op&1 == 0 {
				a, b = got.Prev(), want.Prev()
			} else {
				a, b = got.Next(), want.Next()
			}
		}
		if a != b {
			t.Fatalf("step %d, op %d: on an entry: %v, want %v", step, op, a, b)
		}
		if a && (got.Key().Compare(want.Key()) != 0 || !bytes.Equal(got.Value(), want.Value())) {
			t.Fatalf("step %d, op %d: at %v, want %v", step, op, got.Key(), want.Key())
		}
	}
}

func TestCursorDoesNotMoveBeforeItIsPositioned(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	b.add(base.KindSet, []byte("k"), nil)
	b.commit(t, m, 1)
	if it := m.NewIter(); it.Next() || it.Prev() {
		t.Fatal("moved")
	}
}

func TestEmptyMemtable(t *testing.T) {
	m := New(Options{})
	defer m.Release()
	if rest, next, err := m.Apply(1, nil); err != nil || len(rest) > 0 || next != 1 {
		t.Fatal(err)
	}
	if !m.Empty() || m.MinSeq() != 0 || m.MaxSeq() != 0 || m.Bytes() != 0 || m.RangeDels() != nil {
		t.Fatal("not empty")
	}
	if _, _, ok := m.Get([]byte("k"), base.SeqNumMax); ok {
		t.Fatal("found a key")
	}
	it := m.NewIter()
	if it.First() || it.Last() || it.Next() || it.Prev() || it.SeekGE(nil, 0) || it.SeekLT([]byte("k")) {
		t.Fatal("found an entry")
	}
}

func TestRangeDeletesAreASetAndNoEntries(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	b.add(base.KindSet, []byte("b"), []byte("v"))
	b.add(base.KindRangeDelete, []byte("a"), []byte("c"))
	b.commit(t, m, 1)
	before := m.Bytes()
	s := m.RangeDels()
	if s.CoveringSeq([]byte("b"), 2) != 2 || s.CoveringSeq([]byte("b"), 1) != 0 || s.CoveringSeq([]byte("c"), 2) != 0 {
		t.Fatalf("%v", s.Fragments())
	}
	if m.RangeDels() != s {
		t.Error("the Set was built twice")
	}
	if m.Bytes() <= before {
		t.Error("the Set's memory is not counted")
	}
	b.add(base.KindRangeDelete, []byte("b"), []byte("d"))
	b.add(base.KindRangeDelete, []byte("z"), []byte("d")) // deletes nothing
	b.commit(t, m, 3)
	if got := m.RangeDels().CoveringSeq([]byte("c"), base.SeqNumMax); got != 3 {
		t.Fatalf("a later range delete is missing: %d", got)
	}
	if m.Entries() != 1 || m.RangeDeletes() != 3 || m.MaxSeq() != 4 {
		t.Fatalf("%d entries, %d range deletes, up to %d", m.Entries(), m.RangeDeletes(), m.MaxSeq())
	}
	walk(t, m.NewIter(), b.entries)
}

func TestMemtableOfOnlyRangeDeletesIsNotEmpty(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	b.add(base.KindRangeDelete, []byte("a"), []byte("c"))
	b.commit(t, m, 1)
	if m.Empty() || m.MinSeq() != 1 || m.MaxSeq() != 1 {
		t.Fatal("its range deletes would not be flushed")
	}
}

func TestApplyRefusesWhatItCannotHold(t *testing.T) {
	for name, c := range map[string]struct {
		op   base.Op
		seq  base.SeqNum
		want error
	}{
		"long key":              {op: base.Op{Kind: base.KindSet, Key: make([]byte, KeyBytesMax+1)}, want: base.ErrKeyTooLarge},
		"long range end":        {op: base.Op{Kind: base.KindRangeDelete, Payload: make([]byte, KeyBytesMax+2)}, want: base.ErrKeyTooLarge},
		"bad pointer":           {op: base.Op{Kind: base.KindSetPointer, Key: []byte("k"), Payload: []byte{1}}},
		"pointer, no expiry":    {op: base.Op{Kind: base.KindSetPointer | base.FlagExpiry, Key: []byte("k"), Payload: []byte{1}}},
		"value, no expiry":      {op: base.Op{Kind: base.KindSet | base.FlagExpiry, Key: []byte("k"), Payload: []byte{1}}},
		"sequence number above": {op: base.Op{Kind: base.KindSet, Key: []byte("k")}, seq: base.SeqNumMax + 1},
	} {
		m := New(Options{})
		_, _, err := m.Apply(max(c.seq, 1), base.AppendOp(nil, c.op))
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		m.Release()
	}
	m := New(Options{})
	defer m.Release()
	if err := checkLengths(KeyBytesMax, payloadBytesMax+1); !errors.Is(err, base.ErrValueTooLarge) {
		t.Errorf("long payload: %v", err)
	}
	if err := checkLengths(KeyBytesMax, 1<<30+8); err != nil {
		t.Errorf("longest key, longest value with an expiry: %v", err)
	}
	longest := base.Op{Kind: base.KindRangeDelete, Payload: bytes.Repeat([]byte{0xff}, KeyBytesMax+1)}
	if _, _, err := m.Apply(1, base.AppendOp(nil, longest)); err != nil || m.RangeDels().CoveringSeq(longest.Payload[:KeyBytesMax], 1) != 1 {
		t.Errorf("a range that ends behind the last key of all: %v", err)
	}
	good := base.AppendOp(nil, base.Op{Kind: base.KindSet, Key: []byte("k"), Payload: []byte("v")})
	if _, _, err := m.Apply(2, good[:len(good)-1]); err == nil {
		t.Error("a cut operation was applied")
	}
}

// A commit over several keyspaces, in runs of many lengths: each memtable takes
// its own runs and hands on the rest.
func TestApplyTakesTheLeadingRunOfItsKeyspace(t *testing.T) {
	rng := rand.New(rand.NewPCG(6, 6))
	mems := map[uint32]*Memtable{}
	for _, ks := range []uint32{0, 1, 300, 1<<32 - 1} {
		mems[ks] = New(Options{Keyspace: ks})
		defer mems[ks].Release()
		if mems[ks].Keyspace() != ks {
			t.Fatalf("memtable of keyspace %d is of %d", ks, mems[ks].Keyspace())
		}
	}
	var ops []byte
	var owner []uint32
	for ks := range mems {
		for range 30 {
			for range 1 + rng.IntN(3*applyChunk) {
				kind := base.KindSet
				if rng.IntN(10) == 0 {
					kind = base.KindRangeDelete
				}
				ops = base.AppendOp(ops, base.Op{Kind: kind, Keyspace: ks, Key: []byte("k"), Payload: fmt.Appendf(nil, "z%d", len(owner))})
				owner = append(owner, ks)
			}
			ks = []uint32{0, 1, 300, 1<<32 - 1}[rng.IntN(4)]
		}
	}
	seq := base.SeqNum(1)
	for rest := ops; len(rest) > 0; {
		ks, err := base.PeekKeyspace(rest)
		if err != nil || ks != owner[seq-1] {
			t.Fatalf("at sequence number %d: keyspace %d, %v", seq, ks, err)
		}
		for other, m := range mems {
			if again, next, err := m.Apply(seq, rest); other != ks && (len(again) != len(rest) || next != seq || err != nil) {
				t.Fatalf("keyspace %d took operations of %d: %v", other, ks, err)
			} else if other == ks {
				rest, seq = again, next
				break
			}
		}
	}
	if int(seq-1) != len(owner) {
		t.Fatalf("%d of %d operations", seq-1, len(owner))
	}
	for i, ks := range owner {
		_, v, ok := mems[ks].Get([]byte("k"), base.SeqNum(i+1))
		del := mems[ks].RangeDels().CoveringSeq([]byte("k"), base.SeqNum(i+1)) == base.SeqNum(i+1)
		if !del && (!ok || string(v) != fmt.Sprintf("z%d", i)) {
			t.Fatalf("operation %d of keyspace %d: %q, %v", i, ks, v, ok)
		}
	}
}

func TestLargeEntriesAndKeysOfAllLengths(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	m, b := New(Options{SizeBytes: 2 << 10}), newBuilder()
	defer m.Release()
	for i, n := range []int{0, 1, 3, 4000, 5000, 70_000, slabBytesMax/4 - 20, slabBytesMax / 4, slabBytesMax, 3*slabBytesMax + 1, 10} {
		for _, keyLen := range []int{1, 7, 8, 9, 300, KeyBytesMax} {
			key := bytes.Repeat([]byte{byte(i + 1)}, keyLen)
			value := make([]byte, n)
			for j := 0; j < len(value); j += 1000 {
				value[j] = byte(rng.Uint32())
			}
			first := b.seq
			b.add(base.KindSet, key, value)
			b.commit(t, m, first)
		}
	}
	walk(t, m.NewIter(), b.sorted())
}

func TestArenaIsFullAtTheLastPosition(t *testing.T) {
	var a arena
	slabs := make([]slab, slabsMax)
	a.slabs.Store(&slabs)
	if _, _, err := a.add([]byte("k"), nil); !errors.Is(err, errFull) {
		t.Fatalf("a small entry: %v", err)
	}
	if _, _, err := a.add([]byte("k"), make([]byte, slabBytesMax)); !errors.Is(err, errFull) {
		t.Fatalf("a large entry: %v", err)
	}
	m := New(Options{})
	m.takeBody().arena.slabs.Store(&slabs)
	for _, kind := range []base.Kind{base.KindSet, base.KindRangeDelete} {
		_, _, err := m.Apply(1, base.AppendOp(nil, base.Op{Kind: kind, Key: []byte("a"), Payload: []byte("b")}))
		if !errors.Is(err, errFull) {
			t.Fatalf("%v: %v", kind, err)
		}
	}
	m.Release()
}

func TestSmallMemtableTakesLittleMemory(t *testing.T) {
	m, b := New(Options{SizeBytes: 2 << 10}), newBuilder()
	defer m.Release()
	b.add(base.KindSet, []byte("k"), []byte("v"))
	b.commit(t, m, 1)
	total := 0
	for _, s := range *m.body.Load().arena.slabs.Load() {
		total += len(s.data)
	}
	if total > 4<<10 {
		t.Errorf("arena of %d bytes", total)
	}
	if m.Bytes() > 64 {
		t.Errorf("Bytes = %d", m.Bytes())
	}
}

func TestSkipIsWhatTheKeysShare(t *testing.T) {
	for _, c := range []struct{ style, hint, at270, at6000 string }{
		{"common prefix", "", "user/0", "user/0"},
		{"common prefix", "user/", "user/", "user/"}, // near enough
		{"common prefix", "user/012345", "user/0", "user/0"},
		{"common prefix", "a", "user/0", "user/0"},
		{"common prefix", "zzzzzzzzzzz", "user/0", "user/0"},
		{"ascending", "", "k000000", "k00"}, // left at 1,000
		{"leaves the prefix", "", "middle/of/the/road/", ""},
	} {
		m, b := New(Options{SkipHint: []byte(c.hint)}), newBuilder()
		rng := rand.New(rand.NewPCG(1, 1))
		key := keyStyles[c.style]
		fill(t, rng, m, b, key, 270)
		early := string(m.SkipHint())
		for n := 270; n < 6000; {
			from := n
			fill(t, rng, m, b, func(rng *rand.Rand, i int) []byte { n++; return key(rng, from+i) }, 500)
		}
		if late := string(m.SkipHint()); early != c.at270 || late != c.at6000 {
			t.Errorf("%+v: skips are %q and %q", c, early, late)
		}
		walk(t, m.NewIter(), b.sorted())
		m.Release()
	}
}

func TestSkipNeverChangesTheOrderOfKeys(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 200_000 {
		a, b := keyStyles["any bytes"](rng, 0), keyStyles["any bytes"](rng, 0)
		s := skip(keyStyles["any bytes"](rng, 0))
		if rng.IntN(2) == 0 {
			s = s[:min(len(s), 2)]
		}
		if rng.IntN(2) == 0 && len(a) > 0 {
			s = skip(a[:rng.IntN(len(a))])
		}
		if bytes.Compare(a, b) <= 0 && s.prefix(a) > s.prefix(b) {
			t.Fatalf("%q <= %q, but with skip %q their prefixes are %x and %x", a, b, s, s.prefix(a), s.prefix(b))
		}
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	m, b := New(Options{}), newBuilder()
	defer m.Release()
	fill(t, rand.New(rand.NewPCG(1, 1)), m, b, keyStyles["common prefix"], 5000)
	var key [32]byte
	n := 0
	for range 3 * probeSlots * probeSlots { // warm every slot's copy of the key
		m.Get(key[:], base.SeqNumMax)
	}
	if got := testing.AllocsPerRun(500, func() {
		n++
		k := append(key[:0], b.entries[n].Key.User...)
		if _, _, ok := m.Get(k, base.SeqNumMax); !ok {
			t.Fatal("missing")
		}
	}); got != 0 {
		t.Fatalf("%v allocations", got)
	}
}
