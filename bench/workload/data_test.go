package workload

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
)

func TestKeysSortByIndexAndComeBack(t *testing.T) {
	for _, length := range []int{8, 9, 15, 16, 17, 24, 100, 1024} {
		k := newKeys(length, 3)
		top := keysOfDigits(length)
		var last []byte
		for _, i := range []uint64{0, 1, 2, 9, 10, 99, 12345, top - 1, top} {
			for _, number := range []uint64{presentNumber(i), missingNumber(i)} {
				key := k.append([]byte("before"), number)[6:]
				if len(key) != length {
					t.Fatalf("a key of %d bytes, want %d", len(key), length)
				}
				if bytes.Compare(last, key) >= 0 {
					t.Fatalf("%q does not come before %q", last, key)
				}
				if got, ok := k.number(key); !ok || got != number {
					t.Fatalf("%q is number %d, %v; want %d", key, got, ok, number)
				}
				last = key
			}
		}
		if apart := k.appendApart(nil, accountPrefix, 7); bytes.Compare(last, apart) >= 0 || !k.apart(apart) || len(apart) != length {
			t.Errorf("%q does not lie apart", apart)
		}
	}
}

func TestForeignKeysAreTold(t *testing.T) {
	k := newKeys(24, 3)
	good := k.append(nil, 42)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 0x40
		if _, ok := k.number(bad); ok {
			t.Errorf("%q passes", bad)
		}
		bad[i] = good[i] ^ 1 // still a digit
		if number, ok := k.number(bad); ok && number == 42 {
			t.Errorf("%q passes as 42", bad)
		}
	}
	for _, bad := range [][]byte{nil, good[:23], append(bytes.Clone(good), '0')} {
		if _, ok := k.number(bad); ok {
			t.Errorf("%q passes", bad)
		}
	}
}

func TestAPermutationIsOne(t *testing.T) {
	for _, n := range []uint64{1, 2, 3, 5, 16, 17, 1000, 4097} {
		seen := make([]bool, n)
		p := newPermutation(n, 11)
		for i := range n {
			at := p.at(i)
			if at >= n || seen[at] {
				t.Fatalf("n=%d: %d comes twice or is too large", n, at)
			}
			seen[at] = true
		}
	}
}

func TestValuesCarryTheirIdentity(t *testing.T) {
	for _, sizes := range []string{"16", "17", "100", "20..3000", "etc", "1MiB", "3MiB"} {
		g := newGenerator(testData(t, 10, sizes))
		for i := range uint64(3) {
			for _, version := range []uint32{1, 2, math.MaxUint32} {
				value := g.append(nil, i, version)
				first, last, problem := g.check(value, i)
				if problem != "" || first != version || last != version {
					t.Fatalf("%s: key %d version %d is %d to %d: %s", sizes, i, version, first, last, problem)
				}
				if len(value) != g.length(g.identity(i), version) {
					t.Fatalf("%s: %d bytes", sizes, len(value))
				}
				if _, _, problem := g.check(value, i+1); problem == "" {
					t.Fatalf("%s: it passes for another key", sizes)
				}
			}
		}
	}
}

func TestEveryDamagedByteIsFound(t *testing.T) {
	g := newGenerator(testData(t, 10, "150"))
	value := g.append(nil, 3, 7)
	for i := range value {
		value[i] ^= 1
		if _, _, problem := g.check(value, 3); problem == "" {
			t.Errorf("a flip of byte %d is not found", i)
		}
		value[i] ^= 1
	}
	for n := range len(value) {
		if _, _, problem := g.check(value[:n], 3); problem == "" {
			t.Errorf("a cut at %d is not found", n)
		}
	}
}

func TestMergedValuesAreCheckedOperandByOperand(t *testing.T) {
	g := newGenerator(testData(t, 10, "20..90"))
	value := func(versions ...uint32) (v []byte) {
		for _, version := range versions {
			v = g.append(v, 5, version)
		}
		return v
	}
	if first, last, problem := g.check(value(3, 4, 5), 5); problem != "" || first != 3 || last != 5 {
		t.Errorf("%d to %d: %s", first, last, problem)
	}
	for _, bad := range [][]byte{value(3, 5), value(4, 3), value(3, 3), append(value(3, 4), 1), slices.Concat(value(3), g.append(nil, 6, 4)), value(3, 4)[:30]} {
		if _, _, problem := g.check(bad, 5); problem == "" {
			t.Errorf("%x passes", bad)
		}
	}
}

// Compressors differ; a fair one comes near to what was asked for, in blocks of
// many small values as in one of large ones.
func TestValuesCompressAsAsked(t *testing.T) {
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []float64{0, 0.25, 0.5, 0.75, 1} {
		for _, sizes := range []string{"100", "1KiB", "16KiB", "1MiB"} {
			d := testData(t, 10, sizes)
			d.Compressibility = want
			g := newGenerator(d)
			var block []byte
			for i := uint64(0); len(block) < 64<<10; i++ {
				block = append(block, g.append(nil, i, 1)[headerBytes:]...)
			}
			for name, got := range map[string]float64{
				"zstd": float64(len(encoder.EncodeAll(block, nil))) / float64(len(block)),
				"s2":   float64(len(s2.Encode(nil, block))) / float64(len(block)),
			} {
				if math.Abs(got-want) > 0.13 {
					t.Errorf("%s, values of %s: compressed to %.2f, want %.2f", name, sizes, got, want)
				}
			}
		}
	}
}

func TestBadShapesAreRefused(t *testing.T) {
	if err := testData(t, 10, "100").Check(); err != nil {
		t.Fatal(err)
	}
	for i, change := range []func(d *Data){
		func(d *Data) { d.Keys = 0 }, func(d *Data) { d.Keys = -1 }, func(d *Data) { d.Capacity = 9 },
		func(d *Data) { d.KeyBytes = 7 }, func(d *Data) { d.KeyBytes = 1025 },
		func(d *Data) { d.Sizes = nil }, func(d *Data) { d.Compressibility = 1.1 }, func(d *Data) { d.Compressibility = math.NaN() },
		func(d *Data) { d.KeyBytes, d.Capacity = 8, 50_000_000 }, func(d *Data) { d.Capacity = math.MaxInt },
	} {
		d := testData(t, 10, "100")
		change(d)
		if _, ok := errors.AsType[*UsageError](d.Check()); !ok {
			t.Errorf("%d: %+v: %v", i, d, d.Check())
		}
	}
	large := testData(t, 2, "64MiB")
	g := newGenerator(large)
	if v := g.append(nil, 1, 1); len(v) != 64<<20 || binary.LittleEndian.Uint32(v[12:]) != 64<<20 {
		t.Errorf("%d bytes", len(v))
	}
}

func BenchmarkValues(b *testing.B) {
	for _, sizes := range []string{"100", "1KiB", "etc"} {
		g := newGenerator(testData(b, 1000, sizes))
		var value []byte
		b.Run(fmt.Sprintf("make/%s", sizes), func(b *testing.B) {
			for i := uint64(0); b.Loop(); i++ {
				value = g.append(value[:0], i&1023, 1)
			}
		})
		value = g.append(value[:0], 7, 1)
		b.Run(fmt.Sprintf("check/%s", sizes), func(b *testing.B) {
			for b.Loop() {
				if _, _, problem := g.check(value, 7); problem != "" {
					b.Fatal(problem)
				}
			}
		})
	}
}
