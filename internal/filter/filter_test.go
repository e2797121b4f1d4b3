package filter

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/invariants"
)

func build(hashes []uint64, bitsPerKey float64) []byte {
	var b Builder
	for _, h := range hashes {
		b.Add(h)
	}
	return b.Finish(nil, bitsPerKey)
}

func mustOpen(t testing.TB, b []byte) Filter {
	t.Helper()
	f, err := Open(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func keyHashes(prefix string, n int) []uint64 {
	hashes := make([]uint64, n)
	var key []byte
	for i := range hashes {
		key = fmt.Appendf(key[:0], "%s%08d", prefix, i)
		hashes[i] = Hash(key)
	}
	return hashes
}

func TestEveryAddedKeyIsFound(t *testing.T) {
	for _, n := range []int{1, 2, 50, 51, 52, 1000, 30_000} {
		for _, bitsPerKey := range []float64{0.1, 1, 3.5, 8, 10, 12, 20, 100, math.NaN()} {
			hashes := keyHashes("user", n)
			f := mustOpen(t, build(hashes, bitsPerKey))
			for i, h := range hashes {
				if !f.MayContain(h) {
					t.Fatalf("n %d, bits %v: key %d is lost", n, bitsPerKey, i)
				}
			}
		}
	}
}

func falsePositives(f Filter, seed uint64, n int) float64 {
	rng := rand.New(rand.NewPCG(seed, 2))
	var hits int
	for range n {
		if f.MayContain(rng.Uint64()) {
			hits++
		}
	}
	return float64(hits) / float64(n)
}

func TestFalsePositivesStayBelowTheDocumentedRate(t *testing.T) {
	for _, c := range []struct {
		bitsPerKey, atMost float64
		keys               int
	}{
		{8, 0.028, 100_000},
		{10, 0.012, 1000}, {10, 0.012, 100_000},
		{12, 0.006, 100_000},
		{16, 0.0018, 100_000},
	} {
		f := mustOpen(t, build(keyHashes("user", c.keys), c.bitsPerKey))
		got := falsePositives(f, 1, 1_000_000)
		t.Logf("%v bits, %d keys, %d probes: %.3f %%", c.bitsPerKey, c.keys, f.probes, got*100)
		if got > c.atMost {
			t.Errorf("%v bits, %d keys: rate %.4f, want at most %.4f", c.bitsPerKey, c.keys, got, c.atMost)
		}
	}
}

// TestProbeCountIsTheBest counts false positives for every number of probes.
// The chosen number may be worse than the best by a tenth.
func TestProbeCountIsTheBest(t *testing.T) {
	if invariants.Enabled || testing.Short() {
		t.Skip("counting takes its time")
	}
	const keys = 50_000
	hashes := keyHashes("k", keys)
	for _, bitsPerKey := range []float64{1, 2, 3, 4, 6, 8, 10, 12, 14, 16, 20} {
		blocks := blockCount(keys, bitsPerKey)
		rate := make([]float64, probesMax+1)
		best := 1
		for probes := 1; probes <= probesMax; probes++ {
			body := make([]byte, blocks*blockBytes)
			for _, h := range hashes {
				setBits(body, uint32(blocks), probes, h)
			}
			f := Filter{bits: body, blocks: uint32(blocks), probes: uint32(probes)}
			rate[probes] = falsePositives(f, 7, 400_000)
			if rate[probes] < rate[best] {
				best = probes
			}
		}
		chosen := probeCount(bitsPerKey)
		t.Logf("%4v bits: chosen %d (%.3f %%), best %d (%.3f %%)", bitsPerKey, chosen, rate[chosen]*100, best, rate[best]*100)
		if rate[chosen] > rate[best]*1.1+0.0001 {
			t.Errorf("%v bits: %d probes give %.5f, %d give %.5f", bitsPerKey, chosen, rate[chosen], best, rate[best])
		}
	}
}

func TestEmptyFilterContainsNothing(t *testing.T) {
	var b Builder
	enc := b.Finish(nil, 10)
	if len(enc) != trailerBytes || b.EstimatedSize(10) != len(enc) {
		t.Fatalf("%d bytes, estimated %d", len(enc), b.EstimatedSize(10))
	}
	f := mustOpen(t, enc)
	if f.MayContain(0) || f.MayContain(Hash(nil)) || (Filter{}).MayContain(1) {
		t.Fatal("an empty filter contains something")
	}
	if f.Size() != 0 {
		t.Fatalf("size %d", f.Size())
	}
}

func TestBuilderAppendsCountsAndResets(t *testing.T) {
	var b Builder
	for _, h := range []uint64{1, 1, 1, 2, 1} {
		b.Add(h)
	}
	if b.Len() != 3 {
		t.Fatalf("len %d, want 3: neighbours that are equal count once", b.Len())
	}
	enc := b.Finish([]byte("before"), 10)
	if !bytes.HasPrefix(enc, []byte("before")) || len(enc) != len("before")+b.EstimatedSize(10) {
		t.Fatalf("%q", enc)
	}
	// The bytes must not depend on what lay in the slice's spare room.
	dirty := bytes.Repeat([]byte{0xff}, 4096)
	if !bytes.Equal(b.Finish(dirty[:0], 10), enc[len("before"):]) {
		t.Fatal("dirty memory shows in the filter")
	}
	b.Reset()
	if b.Len() != 0 || len(b.Finish(nil, 10)) != trailerBytes {
		t.Fatal("reset keeps hashes")
	}
}

func TestSizeIsBounded(t *testing.T) {
	if got := blockCount(math.MaxInt32, 32); got != blocksMax {
		t.Fatalf("%d blocks", got)
	}
	if got := blockCount(1, math.Inf(1)); got != 1 {
		t.Fatalf("%d blocks", got)
	}
	if got := probeCount(math.Inf(1)); got != probesMax {
		t.Fatalf("%d probes", got)
	}
}

func TestOpenRefusesWhatFinishDidNotWrite(t *testing.T) {
	good := build(keyHashes("k", 100), 10)
	edit := func(fn func(b []byte) []byte) []byte { return fn(bytes.Clone(good)) }
	at := func(fromEnd int, v byte) []byte {
		return edit(func(b []byte) []byte { b[len(b)-fromEnd] = v; return b })
	}
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":         {nil, ErrMalformed},
		"short trailer":   {good[:7], ErrMalformed},
		"trailer alone":   {good[len(good)-trailerBytes:], ErrMalformed},
		"cut at the end":  {good[:len(good)-1], nil},
		"cut at start":    {good[1:], ErrMalformed},
		"a block too few": {good[blockBytes:], ErrMalformed},
		"more blocks":     {at(8, good[len(good)-8]+1), ErrMalformed},
		"huge":            {at(5, 0xff), ErrMalformed},
		"no probes":       {at(4, 0), ErrMalformed},
		"many probes":     {at(4, probesMax+1), ErrMalformed},
		"other hash":      {at(3, 9), ErrVersion},
		"reserved set":    {at(2, 1), ErrVersion},
		"newer version":   {at(1, version+1), ErrVersion},
	} {
		_, err := Open(c.b)
		if err == nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", name, err, c.want)
		}
	}
}

// A prefix and a key of the same bytes have nothing to do with each other.
func TestPrefixesAreNoKeys(t *testing.T) {
	keys := mustOpen(t, build(keyHashes("k", 20_000), 10))
	found := 0
	var key []byte
	for i := range 20_000 {
		key = fmt.Appendf(key[:0], "k%08d", i)
		if keys.MayContain(HashPrefix(key)) {
			found++
		}
	}
	if found > 400 {
		t.Errorf("%d of 20,000 keys are found as prefixes", found)
	}
	if got := HashPrefix([]byte("apple")); got != 0x76a48586a7ee08aa {
		t.Errorf("the hash of a prefix has changed: %#x", got)
	}
}

// TestFormatIsStable decodes and rebuilds the worked example of
// docs/format/filter.md.
func TestFormatIsStable(t *testing.T) {
	text, err := os.ReadFile("testdata/filter.hex")
	if err != nil {
		t.Fatal(err)
	}
	want, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	keys := []string{"apple", "banana", "cherry"}
	var b Builder
	for _, k := range keys {
		b.Add(Hash([]byte(k)))
	}
	if got := b.Finish(nil, 10); !bytes.Equal(got, want) {
		t.Fatalf("the format changed:\n% x\nwant\n% x", got, want)
	}
	f := mustOpen(t, want)
	for _, k := range keys {
		if !f.MayContain(Hash([]byte(k))) {
			t.Errorf("%s is lost", k)
		}
	}
	if f.MayContain(Hash([]byte("durian"))) {
		t.Error("durian is found")
	}
}
