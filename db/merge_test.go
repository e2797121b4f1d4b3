package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// operatorCase is an operator with a source of operands that it accepts.
type operatorCase struct {
	op      MergeOperator
	operand func(*rand.Rand) []byte
}

func operatorCases() []operatorCase {
	word := func(rng *rand.Rand) []byte {
		b := make([]byte, rng.IntN(4))
		for i := range b {
			b[i] = byte('a' + rng.IntN(3))
		}
		return b
	}
	return []operatorCase{
		{Counter(), func(rng *rand.Rand) []byte {
			if rng.IntN(8) == 0 {
				return CounterBytes(math.MaxInt64 - rng.Int64N(3)) // sums wrap around
			}
			return CounterBytes(rng.Int64N(200) - 100)
		}},
		{Append(), word},
		{Max(), word},
		{Union(), func(rng *rand.Rand) []byte {
			members := make([][]byte, rng.IntN(4))
			for i := range members {
				members[i] = word(rng)
			}
			return UnionBytes(members...)
		}},
	}
}

// Compaction may combine any neighbours, in any order and any number of times,
// and merge what is left into a base at any time: no reader may see it.
func TestMergingInAnyStepsGivesWhatMergingAtOnceGives(t *testing.T) {
	rng := rand.New(rand.NewPCG(testkit.Seed(t), 1))
	key, prefix := []byte("key"), []byte("before:")
	for _, c := range operatorCases() {
		t.Run(c.op.Name(), func(t *testing.T) {
			for range 3000 {
				var base []byte
				hasBase := rng.IntN(3) > 0
				if hasBase {
					base = c.operand(rng)
				}
				operands := make([][]byte, 1+rng.IntN(6))
				for i := range operands {
					operands[i] = c.operand(rng)
				}
				want, err := c.op.Merge(bytes.Clone(prefix), key, base, hasBase, operands)
				if err != nil || !bytes.HasPrefix(want, prefix) {
					t.Fatalf("Merge(%q, %v, %q) = %q, %v", base, hasBase, operands, want, err)
				}
				steps := slices.Clone(operands)
				for len(steps) > 1 && rng.IntN(5) > 0 {
					if rng.IntN(4) == 0 { // the oldest into the base
						if base, err = c.op.Merge(nil, key, base, hasBase, steps[:1]); err != nil {
							t.Fatal(err)
						}
						hasBase, steps = true, steps[1:]
						continue
					}
					i := rng.IntN(len(steps) - 1)
					combined, ok := c.op.Combine(bytes.Clone(prefix), key, steps[i], steps[i+1])
					if !ok || !bytes.HasPrefix(combined, prefix) {
						t.Fatalf("Combine(%q, %q) = %q, %v", steps[i], steps[i+1], combined, ok)
					}
					steps[i] = combined[len(prefix):]
					steps = slices.Delete(steps, i+1, i+2)
				}
				got, err := c.op.Merge(bytes.Clone(prefix), key, base, hasBase, steps)
				if err != nil || !bytes.Equal(got, want) {
					t.Fatalf("operands %q in steps: %q, %v; at once: %q", operands, got, err, want)
				}
			}
		})
	}
}

func TestOperatorsLeaveTheirArgumentsAlone(t *testing.T) {
	rng := rand.New(rand.NewPCG(testkit.Seed(t), 2))
	for _, c := range operatorCases() {
		for range 200 {
			a, b, base := c.operand(rng), c.operand(rng), c.operand(rng)
			a2, b2, base2 := bytes.Clone(a), bytes.Clone(b), bytes.Clone(base)
			if _, err := c.op.Merge(nil, nil, base, true, [][]byte{a, b}); err != nil {
				t.Fatal(err)
			}
			if combined, ok := c.op.Combine(nil, nil, a, b); ok {
				for i := range combined {
					combined[i] ^= 0xff // must not alias an argument
				}
			}
			if !bytes.Equal(a, a2) || !bytes.Equal(b, b2) || !bytes.Equal(base, base2) {
				t.Fatalf("%s changed its arguments", c.op.Name())
			}
		}
	}
}

func TestOperatorsRefuseWhatIsNotTheirs(t *testing.T) {
	good := map[string][]byte{"cordwood.counter": CounterBytes(1), "cordwood.union": UnionBytes([]byte("a"))}
	bad := map[string][][]byte{
		"cordwood.counter": {{}, {1}, make([]byte, 9)},
		"cordwood.union": {
			{0x80},                         // half a length
			{2, 'a'},                       // longer than what is left
			{1, 'b', 1, 'a'},               // not in order
			{1, 'a', 1, 'a'},               // repeated
			{0, 0},                         // the empty member, repeated
			bytes.Repeat([]byte{0xff}, 11), // no 64-bit length
			{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, // overflows an int
		},
	}
	for _, op := range []MergeOperator{Counter(), Union()} {
		ok := good[op.Name()]
		for _, b := range bad[op.Name()] {
			dst := []byte("kept")
			if got, err := op.Merge(dst, nil, b, true, [][]byte{ok}); err == nil || string(got) != "kept" {
				t.Errorf("%s: Merge with the base %x: %q, %v", op.Name(), b, got, err)
			}
			if got, err := op.Merge(dst, nil, nil, false, [][]byte{ok, b}); err == nil || string(got) != "kept" {
				t.Errorf("%s: Merge of the operand %x: %q, %v", op.Name(), b, got, err)
			}
			for _, pair := range [][2][]byte{{ok, b}, {b, ok}} {
				if got, combined := op.Combine(dst, nil, pair[0], pair[1]); combined || string(got) != "kept" {
					t.Errorf("%s: Combine(%x, %x): %q, %v", op.Name(), pair[0], pair[1], got, combined)
				}
			}
		}
	}
}

func TestASetOfMembersComesBack(t *testing.T) {
	rng := rand.New(rand.NewPCG(testkit.Seed(t), 3))
	for range 500 {
		want := make(map[string]bool)
		var members [][]byte
		for range rng.IntN(20) {
			m := bytes.Repeat([]byte{byte(rng.IntN(4))}, rng.IntN(200)) // two-byte lengths too
			want[string(m)] = true
			members = append(members, m)
		}
		first := slices.Clone(members)
		got, err := UnionMembers(UnionBytes(members...))
		if err != nil || len(got) != len(want) || !slices.IsSortedFunc(got, bytes.Compare) {
			t.Fatalf("%d members of %d, %v", len(got), len(want), err)
		}
		for _, m := range got {
			if !want[string(m)] {
				t.Fatalf("member %q is new", m)
			}
		}
		for i := range first {
			if !bytes.Equal(first[i], members[i]) {
				t.Fatal("UnionBytes changed the order of its arguments")
			}
		}
	}
	if got, err := UnionMembers(nil); err != nil || len(got) != 0 {
		t.Fatalf("members of the empty set: %q, %v", got, err)
	}
}

// A store's answers do not depend on what has been flushed or compacted.
func TestMergedValuesAreTheSameWhereverTheOperandsLie(t *testing.T) {
	ctx := context.Background()
	rng := rand.New(rand.NewPCG(testkit.Seed(t), 4))
	for _, c := range operatorCases() {
		t.Run(c.op.Name(), func(t *testing.T) {
			store := openMem(t, vfs.NewMem(), Options{Merge: c.op})
			const keys = 20
			key := func(i int) []byte { return fmt.Appendf(nil, "key%02d", i) }
			want := make([][]byte, keys) // nil: no value
			for range 400 {
				i := rng.IntN(keys)
				operand := c.operand(rng)
				var err error
				switch rng.IntN(10) {
				case 0:
					want[i], err = nil, store.Delete(key(i))
				case 1:
					want[i], err = append([]byte{}, operand...), store.Put(key(i), operand)
				default:
					err = store.Merge(key(i), operand)
					value, mergeErr := c.op.Merge([]byte{}, key(i), want[i], want[i] != nil, [][]byte{operand})
					want[i], err = value, errors.Join(err, mergeErr)
				}
				if err == nil {
					switch rng.IntN(40) {
					case 0:
						err = store.Flush(ctx)
					case 1:
						err = store.Compact(ctx, All())
					}
				}
				if err != nil {
					t.Fatal(err)
				}
				got, err := store.Get(key(i))
				if want[i] == nil {
					if !errors.Is(err, ErrNotFound) {
						t.Fatalf("Get of a deleted key: %q, %v", got, err)
					}
				} else if err != nil || !bytes.Equal(got, want[i]) {
					t.Fatalf("Get %s: %q, %v; want %q", key(i), got, err, want[i])
				}
			}
			closeDB(t, store)
		})
	}
}

func TestMergeWithoutAnOperatorIsRefused(t *testing.T) {
	store := openMem(t, vfs.NewMem(), Options{})
	defer closeDB(t, store)
	if err := store.Merge([]byte("k"), []byte("v")); !errors.Is(err, ErrNoMerge) {
		t.Fatalf("Merge: %v, want ErrNoMerge", err)
	}
}

func TestAStoreWithMergesOpensWithItsOwnOperatorOnly(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, Options{Merge: Counter()})
	if err := store.Put([]byte("other"), nil); err != nil {
		t.Fatal(err)
	}
	if err := store.Merge([]byte("k"), CounterBytes(2)); err != nil {
		t.Fatal(err)
	}
	killed := fs.KillClone() // the operand is in the WAL and nowhere else
	closeDB(t, store)
	for name, fs := range map[string]*vfs.Mem{"closed": fs, "killed": killed} {
		t.Run(name, func(t *testing.T) {
			if _, err := Open("/db", &Options{FS: fs, Merge: Union()}); !errors.Is(err, ErrMergeOperator) {
				t.Fatalf("Open with another operator: %v, want ErrMergeOperator", err)
			}
			store := openMem(t, fs, Options{Merge: Counter()})
			defer closeDB(t, store)
			value, err := store.Get([]byte("k"))
			if err != nil || !bytes.Equal(value, CounterBytes(2)) {
				t.Fatalf("Get: %x, %v", value, err)
			}
		})
	}
}

func TestOperandsWithoutAnOperatorAreAnErrorNotAValue(t *testing.T) {
	fs := vfs.NewMem()
	store := openMem(t, fs, Options{Merge: Append()})
	if err := store.Merge([]byte("k"), []byte("v")); err != nil {
		t.Fatal(err)
	}
	killed := fs.KillClone()
	closeDB(t, store)
	store = openMem(t, killed, Options{})
	defer closeDB(t, store)
	if value, err := store.Get([]byte("k")); !errors.Is(err, ErrNoMerge) {
		t.Fatalf("Get: %q, %v; want ErrNoMerge", value, err)
	}
	for _, err := range store.Scan(All()) {
		if !errors.Is(err, ErrNoMerge) {
			t.Fatalf("Scan: %v, want ErrNoMerge", err)
		}
	}
}

// spoiler is an operator that fails with something else than it was given.
type spoiler struct{ mergeFunc }

func (spoiler) Merge(dst, _, _ []byte, _ bool, _ [][]byte) ([]byte, error) {
	return append(dst, "junk"...), errSpoiled
}

var errSpoiled = errors.New("spoiled")

func TestAMergeThatFailsLeavesTheCallersSliceAsItWas(t *testing.T) {
	opts := smallOptions()
	opts.Merge = spoiler{}
	store := openMem(t, vfs.NewMem(), opts)
	defer closeDB(t, store)
	must(t, store.Merge(bs("stored"), nil))
	tx := mustTx(t, store, TxOptions{})
	defer tx.Discard()
	must(t, tx.Merge(bs("own"), nil))
	for key, r := range map[string]Reader{"stored": store, "own": tx} {
		if got, err := r.AppendGet(bs("x"), bs(key)); string(got) != "x" || !errors.Is(err, errSpoiled) {
			t.Errorf("%s: %q, %v", key, got, err)
		}
		if got, err := r.Get(bs(key)); got != nil || !errors.Is(err, errSpoiled) {
			t.Errorf("%s: %q, %v", key, got, err)
		}
	}
}
