package trace

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"testing"
	"time"
)

// readBytes reads what there is.
func readBytes(b []byte) (n int, sum Summary, err error) {
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		return 0, Summary{}, err
	}
	defer r.Close()
	var op Op
	for {
		if err := r.Next(&op); err == io.EOF {
			return n, r.Summary(), nil
		} else if err != nil {
			return n, r.Summary(), err
		}
		n++
	}
}

// A file that is cut off anywhere gives its whole blocks, and says that it is
// torn.
func TestTornFileGivesWhatIsWhole(t *testing.T) {
	whole := writeTrace(t, goldenHeader, goldenOps(), 0, true)
	first := headerLen + blockHeaderLen + int(binary.LittleEndian.Uint32(whole[headerLen+16:]))
	second := first + blockHeaderLen + int(binary.LittleEndian.Uint32(whole[first+16:]))
	for size := headerLen; size < len(whole); size++ {
		want := 0
		if size >= first {
			want = 3
		}
		if size >= second {
			want = 5
		}
		for _, tail := range [][]byte{nil, make([]byte, 100)} {
			if tail != nil && size != headerLen && size != first && size != second {
				continue // zeros within a block make it a damaged one
			}
			n, sum, err := readBytes(append(bytes.Clone(whole[:size]), tail...))
			if err != nil || n != want || sum.Whole || !sum.Torn || sum.Problem == "" {
				t.Fatalf("%d bytes: %d operations, %+v, %v", size, n, sum, err)
			}
		}
	}
	for size := range headerLen {
		if _, _, err := readBytes(whole[:size]); err == nil {
			t.Fatalf("a header of %d bytes", size)
		}
	}
}

// Every changed byte is noticed, and nothing behind it is made up.
func TestDamageIsFound(t *testing.T) {
	ops := goldenOps()
	whole := writeTrace(t, goldenHeader, ops, 0, true)
	for i := range whole {
		b := bytes.Clone(whole)
		b[i] ^= 1 << (i % 8)
		n, sum, err := readBytes(b)
		if err == nil && sum.Whole {
			t.Fatalf("byte %d was changed, and nobody noticed", i)
		}
		_, damaged := errors.AsType[*DamageError](err)
		_, newer := errors.AsType[*VersionError](err)
		if err != nil && !damaged && !newer {
			t.Fatalf("byte %d: %v", i, err)
		}
		if n > len(ops) {
			t.Fatalf("byte %d: %d operations", i, n)
		}
	}
	// Blocks that are lost, come twice or from another file.
	first := headerLen + blockHeaderLen + int(binary.LittleEndian.Uint32(whole[headerLen+16:]))
	other := goldenHeader
	other.id++
	foreign := writeTrace(t, other, ops, 0, true)
	for name, b := range map[string][]byte{
		"lost":    append(bytes.Clone(whole[:headerLen]), whole[first:]...),
		"twice":   append(bytes.Clone(whole[:first]), whole[headerLen:]...),
		"foreign": append(bytes.Clone(whole[:first]), foreign[first:]...),
		"behind":  append(bytes.Clone(whole), 1),
	} {
		if _, _, err := readBytes(b); err == nil {
			t.Errorf("a block %s: no error", name)
		}
	}
}

func TestNewerVersionIsRefused(t *testing.T) {
	b := goldenHeader.encode()
	b[8] = FormatVersion + 1
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	_, _, err := readBytes(b)
	if e, ok := errors.AsType[*VersionError](err); !ok || e.Version != FormatVersion+1 {
		t.Errorf("error %v", err)
	}
}

// randomOp is any operation.
func randomOp(rng *rand.Rand, end time.Duration) Op {
	key := func() []byte {
		n := rng.IntN(20)
		if rng.IntN(50) == 0 {
			n = rng.IntN(keyBytesMax)
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.IntN(3))
		}
		return b
	}
	var fill func(kind Kind) Op
	fill = func(kind Kind) Op {
		op := Op{Kind: kind, Keyspace: uint32(rng.IntN(3)), Found: rng.IntN(2) == 0, Snapshot: rng.IntN(9) == 0}
		if rng.IntN(9) == 0 {
			op.Error = ErrorClass(1 + rng.IntN(int(errorMax)))
		}
		switch kind {
		case KindDeleteRange, KindScan, KindWalk:
			op.Range = Bounds{Backward: rng.IntN(2) == 0, KeysOnly: rng.IntN(2) == 0, Lower: key()}
			if rng.IntN(2) == 0 {
				op.Range.Upper = key()
			}
			if kind != KindDeleteRange {
				op.Entries, op.Bytes = rng.Uint64N(1000), rng.Uint64N(1<<40)
			}
			if kind == KindWalk {
				op.Walk = Walk{Position(rng.IntN(int(positionMax) + 1)), rng.Uint64N(10), rng.Uint64N(10)}
				if op.Walk.Position >= PositionSeekGE {
					op.Key = key()
				}
			}
		case KindMultiGet, KindBatch, KindTransaction:
			op.Keyspace = 0
			op.Cut = rng.Uint64N(3)
			if kind == KindTransaction {
				op.Tx = TxInfo{TxOutcome(rng.IntN(4)), rng.IntN(2) == 0, rng.IntN(2) == 0, rng.Uint64N(4)}
			}
			op.Sync = kind != KindMultiGet && rng.IntN(2) == 0
			for range rng.IntN(5) {
				item := Kind(1 + rng.IntN(int(kindMax)))
				if item.mayBeItem(kind) {
					op.Items = append(op.Items, fill(item))
				}
			}
		case KindKeyspace:
			op.Name = string(key()[:0]) + "name"
		case KindLost:
			op.Entries = rng.Uint64N(100)
		case KindDropKeyspace:
		default:
			op.Key = key()
			switch kind {
			case KindGet, KindGetForUpdate, KindGetAndDelete:
				if op.Found {
					op.Length = rng.IntN(valueBytesMax)
				}
			case KindHas, KindDelete:
			case KindCompareAndSwap:
				if op.Removes = rng.IntN(2) == 0; !op.Removes {
					op.Length = rng.IntN(1000)
				}
			default:
				op.Length = rng.IntN(1000)
			}
			if kind == KindPutTTL || kind == KindPutIfAbsentTTL {
				op.TTL = time.Duration(rng.IntN(1e6)) * time.Millisecond
			}
		}
		return op
	}
	op := fill(Kind(1 + rng.IntN(int(kindMax))))
	op.Client = uint32(rng.IntN(3))
	for i := range op.Items {
		op.Items[i].Client = op.Client
	}
	op.Took = min(time.Duration(rng.IntN(1e6))*tickDefault, end)
	op.Start = end - op.Took
	return op
}

func TestAnyOperationComesBack(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	var ops []Op
	end := time.Duration(0)
	for range 1500 {
		end += time.Duration(rng.IntN(1e5)) * tickDefault
		ops = append(ops, randomOp(rng, end))
	}
	for _, hashed := range []bool{false, true} {
		h := goldenHeader
		h.hashed = hashed
		r, err := NewReader(bytes.NewReader(writeTrace(t, h, ops, 0, true)))
		must(t, err)
		for i := range ops {
			var op Op
			must(t, r.Next(&op))
			want := ops[i].Clone()
			if hashed {
				hashOp(secret{1, 2}, &want)
			}
			if got, want := show(&op), show(&want); got != want || op.Start != ops[i].Start || op.Took != ops[i].Took {
				t.Fatalf("operation %d, hashed %v:\n%.300s\n%.300s\n%v+%v, %v+%v", i, hashed, got, want, op.Start, op.Took, ops[i].Start, ops[i].Took)
			}
		}
		must(t, r.Close())
	}
}

// hashOp does to an operation what HashKeys does.
func hashOp(key secret, op *Op) {
	for _, b := range []*[]byte{&op.Key, &op.Range.Lower, &op.Range.Upper} {
		if *b != nil {
			*b = expand([]byte{}, key.hash(nil, *b), len(*b))
		}
	}
	for i := range op.Items {
		hashOp(key, &op.Items[i])
	}
}

// FuzzReader reads made-up files, with checksums that fit.
func FuzzReader(f *testing.F) {
	f.Add(writeTrace(f, goldenHeader, goldenOps(), 3, true))
	hashed := goldenHeader
	hashed.hashed = true
	f.Add(writeTrace(f, hashed, goldenOps(), 0, false))
	rng := rand.New(rand.NewPCG(1, 2))
	var ops []Op
	for i := range 30 {
		op := randomOp(rng, time.Duration(i)*time.Millisecond)
		if len(show(&op)) < 1000 {
			ops = append(ops, op)
		}
	}
	f.Add(writeTrace(f, goldenHeader, ops, 0, true))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b)
		repair(b)
		n, sum, err := readBytes(b)
		_, damaged := errors.AsType[*DamageError](err)
		_, newer := errors.AsType[*VersionError](err)
		if err != nil && !damaged && !newer {
			t.Fatal(err)
		}
		if err == nil && sum.Whole == sum.Torn {
			t.Fatalf("%d operations, %+v", n, sum)
		}
	})
}

// repair makes the checksums fit.
func repair(b []byte) {
	if len(b) < headerLen {
		return
	}
	le := binary.LittleEndian
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	id := le.Uint64(b[16:])
	for b = b[headerLen:]; len(b) >= blockHeaderLen; {
		n := min(int(le.Uint32(b[16:])&(blockBytesMax-1)), len(b)-blockHeaderLen)
		le.PutUint32(b[16:], uint32(n))
		if b[13] == packingNone {
			le.PutUint32(b[20:], uint32(n))
		}
		le.PutUint32(b[4:], crc32.Checksum(b[blockHeaderLen:][:n], castagnoli))
		le.PutUint32(b, headerSum(id, b))
		b = b[blockHeaderLen+n:]
	}
}

func TestHashing(t *testing.T) {
	// The vector of the paper's appendix.
	var key [16]byte
	in := make([]byte, 15)
	for i := range key {
		key[i] = byte(i)
	}
	copy(in, key[:])
	if sum := newSecret(key).sum(in); sum != 0xa129ca6149be45e5 {
		t.Errorf("SipHash-2-4 gives %#x", sum)
	}
	// Short keys: one to one, at every length.
	s := secret{1, 2}
	for n := 1; n <= 2; n++ {
		seen := make(map[string]bool)
		for i := range 1 << (8 * n) {
			b := make([]byte, 8)
			binary.BigEndian.PutUint64(b, uint64(i))
			h := s.hash(nil, b[8-n:])
			if len(h) != n || seen[string(h)] {
				t.Fatalf("%x becomes %x, as another one", b[8-n:], h)
			}
			seen[string(h)] = true
		}
	}
	for n := range 100 {
		key := make([]byte, n)
		got := expand(nil, s.hash(nil, key), n)
		if len(got) != n || n > 3 && bytes.Equal(got, key) {
			t.Errorf("key of %d bytes: %x", n, got)
		}
		if n > 3 && bytes.Equal(got, expand(nil, secret{1, 3}.hash(nil, key), n)) {
			t.Errorf("the secret says nothing")
		}
	}
}
