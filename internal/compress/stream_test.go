package compress

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
)

// halfZero is n bytes in which runs of 50 random ones and of 50 zeros alternate.
func halfZero(seed uint64, n int) []byte {
	b := random(seed, n)
	for i := 0; i+100 <= n; i += 100 {
		clear(b[i : i+50])
	}
	return b
}

// prose is n bytes of words, with a new one now and then.
func prose(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 3))
	words := []string{"the ", "quick ", "brown ", "jumps ", "over ", "lazy "}
	var b []byte
	for len(b) < n {
		b = append(b, words[rng.IntN(len(words))]...)
		for range 8 {
			b = append(b, "eeeeeetttttaaaaoooiiinnnsshhrrdlu    "[rng.IntN(37)])
		}
	}
	return b[:n]
}

// blocksOf compresses count blocks in one stream, checks that they come back,
// and returns their stored bytes and what [Codec.Compress] makes of them.
func blocksOf(t *testing.T, s *Stream, count int, block func(seed uint64, n int) []byte) (stored, coded int) {
	t.Helper()
	c := NewCodec()
	for i := range count {
		src := block(uint64(i), 8<<10)
		enc, kind := s.Compress([]byte("pre"), src, Zstd)
		got, err := c.Decompress(nil, enc[3:], kind, len(src))
		if err != nil || !bytes.Equal(got, src) || string(enc[:3]) != "pre" {
			t.Fatalf("block %d as %v: %v", i, kind, err)
		}
		plain, _ := c.Compress(nil, src, Zstd)
		stored, coded = stored+len(enc)-3, coded+len(plain)
	}
	return stored, coded
}

func TestStreamLeavesTheEntropyCodeOutWhereItSavesLittle(t *testing.T) {
	var s Stream
	stored, coded := blocksOf(t, &s, 70, halfZero)
	if s.how != effortLight || stored > coded+coded/entropyWorthDivisor {
		t.Fatalf("effort %d, %d bytes, %d with an entropy code", s.how, stored, coded)
	}
}

func TestStreamKeepsTheEntropyCodeForText(t *testing.T) {
	var s Stream
	if stored, coded := blocksOf(t, &s, 70, prose); s.how != effortFull || stored != coded {
		t.Fatalf("effort %d, %d bytes, %d with an entropy code", s.how, stored, coded)
	}
}

func TestStreamNoticesThatBlocksChange(t *testing.T) {
	var s Stream
	blocksOf(t, &s, 10*sampleEvery, halfZero)
	blocksOf(t, &s, 4*sampleEvery, prose)
	if s.how != effortFull {
		t.Fatal("text is not entropy-coded after a run of half random blocks")
	}
	blocksOf(t, &s, 4*sampleEvery, halfZero)
	if s.how != effortLight {
		t.Fatal("half random blocks are entropy-coded after a run of text")
	}
}

func TestStreamStoresAsAskedAndWhatDoesNotShrink(t *testing.T) {
	var s Stream
	for i := range 2 * sampleEvery {
		src := random(uint64(i), 1000)
		if enc, kind := s.Compress(nil, src, Zstd); kind != None || !bytes.Equal(enc, src) {
			t.Fatalf("random block %d stored as %v", i, kind)
		}
		src = prose(uint64(i), 1000)
		if enc, kind := s.Compress(nil, src, None); kind != None || !bytes.Equal(enc, src) {
			t.Fatalf("block %d stored as %v, asked for none", i, kind)
		}
		if enc, kind := s.Compress(nil, nil, Zstd); kind != None || len(enc) != 0 {
			t.Fatalf("an empty block stored as %v", kind)
		}
	}
}

func BenchmarkStream(b *testing.B) {
	for name, block := range map[string]func(uint64, int) []byte{"half": halfZero, "prose": prose} {
		b.Run(fmt.Sprintf("%s/8KiB", name), func(b *testing.B) {
			var s Stream
			src, dst := block(1, 8<<10), []byte(nil)
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				dst, _ = s.Compress(dst[:0], src, Zstd)
			}
			b.ReportMetric(float64(len(src))/float64(len(dst)), "ratio")
		})
	}
}
