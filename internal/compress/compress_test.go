package compress

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/klauspost/compress/zstd"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// halfCompressible returns n bytes of which every second run of 64 is random.
func halfCompressible(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, 0, n+64)
	for len(b) < n {
		if len(b)/64%2 == 0 {
			for range 8 {
				b = binary.LittleEndian.AppendUint64(b, rng.Uint64())
			}
		} else {
			b = append(b, strings.Repeat("cordwood", 8)...)
		}
	}
	return b[:n]
}

func random(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

var sizes = []int{0, 1, 7, 8, 9, 100, 255, 256, 257, 4096, 16 << 10, 64 << 10, 64<<10 + 1, 200_000, 1 << 20, 3 << 20}

func TestBlocksComeBackAsTheyWere(t *testing.T) {
	c := NewCodec()
	for _, n := range sizes {
		for name, src := range map[string][]byte{
			"zero": make([]byte, n), "half": halfCompressible(uint64(n), n), "random": random(uint64(n), n),
		} {
			for _, kind := range []Kind{None, Zstd, 77} {
				enc, got := c.Compress([]byte("pre"), src, kind)
				if !bytes.HasPrefix(enc, []byte("pre")) {
					t.Fatal("what was in dst is gone")
				}
				enc = enc[3:]
				if len(enc) > n || got == Zstd && len(enc) > n-n/8 || kind != Zstd && got != None {
					t.Fatalf("%s %d: %d bytes as %v, asked %v", name, n, len(enc), got, kind)
				}
				if size, err := c.Size(enc, got); err != nil || size != n {
					t.Fatalf("%s %d: size %d, %v", name, n, size, err)
				}
				for _, room := range []int{0, n, n + 16, 2 * n} {
					dst := append(make([]byte, 0, 3+room), "pre"...)
					dec, err := c.Decompress(dst, enc, got, n)
					if err != nil || !bytes.Equal(dec[3:], src) || string(dec[:3]) != "pre" {
						t.Fatalf("%s %d room %d: %v", name, n, room, err)
					}
					if room >= n && &dec[0] != &dst[0] {
						t.Fatalf("%s %d room %d: moved to other memory", name, n, room)
					}
				}
			}
		}
	}
}

func TestOnlyBlocksThatShrinkAreCompressed(t *testing.T) {
	c := NewCodec()
	if _, kind := c.Compress(nil, random(1, 16<<10), Zstd); kind != None {
		t.Error("random bytes were compressed")
	}
	enc, kind := c.Compress(nil, halfCompressible(1, 16<<10), Zstd)
	if kind != Zstd || len(enc) > 9<<10 {
		t.Errorf("half compressible: %v, %d bytes of %d", kind, len(enc), 16<<10)
	}
}

func TestContentsLargerThanAllowedAreRefused(t *testing.T) {
	c := NewCodec()
	src := halfCompressible(1, 5000)
	for _, kind := range []Kind{None, Zstd} {
		enc, _ := c.Compress(nil, src, kind)
		for _, sizeMax := range []int{-1, 0, 1, len(src) - 1} {
			dec, err := c.Decompress([]byte("pre"), enc, kind, sizeMax)
			if !errors.Is(err, ErrTooLarge) || string(dec) != "pre" {
				t.Errorf("%v, at most %d: %q, %v", kind, sizeMax, dec, err)
			}
		}
	}
}

func TestUnknownKindIsAnError(t *testing.T) {
	c := NewCodec()
	if _, err := c.Decompress(nil, []byte("x"), 9, 10); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
	if _, err := c.Size([]byte("x"), 9); !errors.Is(err, ErrKind) {
		t.Error(err)
	}
	if fmt.Sprint(None, Zstd, Kind(9)) != "none zstd compression(9)" {
		t.Error(None, Zstd, Kind(9))
	}
}

// hostileFrames are frames that a Zstandard decoder may well accept but that
// Compress never writes, or that lie.
func hostileFrames(t testing.TB) map[string][]byte {
	enc := func(opts ...zstd.EOption) []byte {
		w, err := zstd.NewWriter(nil, append(opts, zstd.WithEncoderConcurrency(1))...)
		if err != nil {
			t.Fatal(err)
		}
		return w.EncodeAll(bytes.Repeat([]byte("ab"), 500), nil)
	}
	good := enc(zstd.WithSingleSegment(true), zstd.WithEncoderCRC(false))
	var streamed bytes.Buffer
	w, err := zstd.NewWriter(&streamed, zstd.WithEncoderConcurrency(1))
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		w.Write(bytes.Repeat([]byte("ab"), 50))
		w.Flush()
	}
	w.Close()
	// Magic, single segment with a content size of eight bytes, one block that
	// repeats a byte 128 KiB times.
	header := []byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}
	bomb := binary.LittleEndian.AppendUint64(bytes.Clone(header), 1<<40)
	liar := binary.LittleEndian.AppendUint64(bytes.Clone(header), 1000)
	repeat := []byte{0x03, 0x00, 0x10, 'x'} // last, RLE, 128 KiB
	return map[string][]byte{
		"empty":             {},
		"no content size":   streamed.Bytes(),
		"not zstd":          []byte("hello, this is no frame"),
		"skippable":         {0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 1, 2, 3, 4},
		"bomb":              append(bomb, repeat...),
		"liar":              append(liar, repeat...),
		"two frames":        append(bytes.Clone(good), good...),
		"cut":               good[:len(good)-1],
		"header only":       good[:6],
		"trailing rubbish":  append(bytes.Clone(good), 1, 2, 3, 4, 5),
		"dictionary wanted": append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0x21, 0x07, 0x05}, repeat...),
	}
}

func TestHostileFramesGiveAnError(t *testing.T) {
	c := NewCodec()
	for name, src := range hostileFrames(t) {
		for _, room := range []int{0, 1000, 4096} {
			dst := append(make([]byte, 0, 3+room), "pre"...)
			dec, err := c.Decompress(dst, src, Zstd, 1<<20)
			if err == nil {
				t.Errorf("%s: %d bytes, no error", name, len(dec))
			}
			if string(dec) != "pre" {
				t.Errorf("%s: dst changed to %q", name, dec)
			}
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

func TestDamagedFramesNeverPanicOrOverrun(t *testing.T) {
	c := NewCodec()
	src := halfCompressible(3, 3000)
	enc, _ := c.Compress(nil, src, Zstd)
	guard := bytes.Repeat([]byte{0xa5}, 64)
	for i := range enc {
		for bit := range 8 {
			bad := bytes.Clone(enc)
			bad[i] ^= 1 << bit
			buf := append(make([]byte, len(src), len(src)+64), guard...)
			dec, err := c.Decompress(buf[:0:len(src)], bad, Zstd, len(src))
			if err == nil && len(dec) > len(src) {
				t.Fatalf("byte %d: %d bytes", i, len(dec))
			}
			if !bytes.Equal(buf[len(src):], guard) {
				t.Fatalf("byte %d: wrote beyond the slice's capacity", i)
			}
		}
	}
	// The pooled decoder still works after all that.
	if dec, err := c.Decompress(nil, enc, Zstd, len(src)); err != nil || !bytes.Equal(dec, src) {
		t.Fatal(err)
	}
}

func TestClaimedSizeDoesNotAllocate(t *testing.T) {
	c := NewCodec()
	bomb := hostileFrames(t)["bomb"]
	binary.LittleEndian.PutUint64(bomb[5:], 1<<30)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := c.Decompress(nil, bomb, Zstd, maxInt)
	runtime.ReadMemStats(&after)
	if err == nil || after.TotalAlloc-before.TotalAlloc > 4<<20 {
		t.Fatalf("%v after %d bytes allocated", err, after.TotalAlloc-before.TotalAlloc)
	}
}

func TestCodecIsSafeForConcurrentUseAndStartsNoGoroutine(t *testing.T) {
	c := NewCodec()
	before := runtime.NumGoroutine()
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 30 {
				src := halfCompressible(uint64(g*100+i), 1000+i*3000)
				enc, kind := c.Compress(nil, src, Zstd)
				dec, err := c.Decompress(nil, enc, kind, len(src))
				if err != nil || !bytes.Equal(dec, src) {
					t.Errorf("goroutine %d, block %d: %v", g, i, err)
				}
			}
		})
	}
	wg.Wait()
	// Those of the test may still be about to end.
	testkit.Until(t, func() bool { return runtime.NumGoroutine() <= before },
		func() string { return fmt.Sprintf("%d goroutines, were %d", runtime.NumGoroutine(), before) })
}

// TestSharedCodersBelongToNoBubble: what is made at the first use inside a
// synctest bubble works outside of it.
func TestSharedCodersBelongToNoBubble(t *testing.T) {
	for _, n := range []int{1000, 200_000} {
		src := halfCompressible(uint64(n), n)
		trip := func(t *testing.T) {
			c := NewCodec()
			enc, kind := c.Compress(nil, src, Zstd)
			dec, err := c.Decompress(nil, enc, kind, n)
			if err != nil || !bytes.Equal(dec, src) {
				t.Error(err)
			}
		}
		runtime.GC() // empties the pool
		runtime.GC()
		synctest.Test(t, trip)
		trip(t)
		synctest.Test(t, trip)
	}
}
