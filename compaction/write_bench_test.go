package compaction

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vfs"
)

// benchEnv writes to a real directory with the settings of a database.
func benchEnv(b *testing.B) *Env {
	b.Helper()
	env := testEnv(b, vfs.NewMem())
	dir := b.TempDir()
	codec := compress.NewCodec()
	env.FS, env.Dir = vfs.OS(), dir
	env.Writer = sstable.WriterOptions{FilterBitsPerKey: 10, Compression: compress.Zstd, Codec: codec}
	env.Tables = sstable.NewTableCache(env.FS, dir, 100, nil, codec)
	b.Cleanup(func() { env.Tables.Close() })
	return env
}

// benchSources are n entries in all, with random 16-byte keys and values of 100
// half-compressible bytes, spread over sorted sources; entries of source i are
// newer than those of source i+1. overwrites of them have a key that a later
// source has too.
func benchSources(n, sources int, overwrites bool) [][]iterator.Entry {
	rng := rand.New(rand.NewPCG(3, 4))
	out := make([][]iterator.Entry, sources)
	keys := n
	if overwrites {
		keys = n / 2
	}
	for i := range out {
		for range n / sources {
			var key [16]byte
			copy(key[:], fmt.Sprintf("%016d", rng.IntN(keys*1000)/1000*7919))
			value := make([]byte, 100)
			for j := 0; j < 50; j += 8 {
				binary.LittleEndian.PutUint64(value[j:], rng.Uint64())
			}
			clear(value[50:])
			seq := base.SeqNum((sources-i)*n + len(out[i]))
			out[i] = append(out[i], iterator.Entry{Key: base.InternalKey{User: key[:], Trailer: base.MakeTrailer(seq, base.KindSet)}, Value: value})
		}
		slices.SortFunc(out[i], func(a, b iterator.Entry) int { return a.Key.Compare(b.Key) })
	}
	return out
}

const benchEntries = 400_000

// reportEntries reports for rounds of n entries, since CPU time cpu.
func reportEntries(b *testing.B, n int, cpu int64) {
	b.SetBytes(int64(n) * 116)
	b.ReportMetric(float64(cpuNanos()-cpu)/float64(b.N)/float64(n), "cpu-ns/entry")
}

// discard is a sink that only counts.
type discard struct{ n int }

func (d *discard) add(base.InternalKey, []byte, bool) error { d.n++; return nil }

func BenchmarkFilterAlone(b *testing.B) {
	entries := slices.Concat(benchSources(benchEntries, 1, true)...)
	b.ReportAllocs()
	cpu := cpuNanos()
	for b.Loop() {
		f := &filter{in: iterator.NewSlice(entries), out: &discard{}, stripes: newStripes(nil), discards: discards{},
			bottom: func([]byte) bool { return true }, tick: func(int) error { return nil }}
		if err := f.walk(); err != nil {
			b.Fatal(err)
		}
	}
	reportEntries(b, benchEntries, cpu)
}

// BenchmarkFilterAloneAsked is BenchmarkFilterAlone with a compaction filter
// that looks at the value.
func BenchmarkFilterAloneAsked(b *testing.B) {
	entries := slices.Concat(benchSources(benchEntries, 1, true)...)
	b.ReportAllocs()
	cpu := cpuNanos()
	for b.Loop() {
		asked := 0
		decide := func(e *FilterEntry) (Decision, error) {
			asked++
			_, err := e.Value()
			return Keep, err
		}
		f := &filter{in: iterator.NewSlice(entries), out: &discard{}, stripes: newStripes(nil), discards: discards{},
			values: &valueFilter{decide: decide},
			bottom: func([]byte) bool { return true }, tick: func(int) error { return nil }}
		if err := f.walk(); err != nil || asked == 0 {
			b.Fatal(asked, err)
		}
	}
	reportEntries(b, benchEntries, cpu)
}

func BenchmarkWriteTablesOf4Sources(b *testing.B) {
	sources := benchSources(benchEntries, 4, false)
	env := benchEnv(b)
	b.ReportAllocs()
	cpu := cpuNanos()
	for b.Loop() {
		var its []iterator.Iterator
		for _, s := range sources {
			its = append(its, iterator.NewSlice(s))
		}
		out, err := WriteTables(context.Background(), env, Input{Iter: iterator.NewMerging(its...)},
			WriteParams{LevelHint: 5, TargetTableBytes: 8 << 20})
		if err != nil {
			b.Fatal(err)
		}
		if err := removeTables(env, out.Tables); err != nil {
			b.Fatal(err)
		}
	}
	reportEntries(b, benchEntries, cpu)
}

func BenchmarkRunOf4Tables(b *testing.B) {
	env := benchEnv(b)
	v := &manifest.Tree{}
	for _, s := range benchSources(benchEntries, 4, false) {
		out, err := WriteTables(context.Background(), env, Input{Iter: iterator.NewSlice(s)}, WriteParams{TargetTableBytes: 8 << 20})
		if err != nil {
			b.Fatal(err)
		}
		v.Levels[0] = append(v.Levels[0], out.Tables...)
	}
	plan := PickRange(v, Busy{}, PickOptions{}, 0, nil, nil)
	b.ReportAllocs()
	cpu := cpuNanos()
	for b.Loop() {
		edit, _, err := Run(context.Background(), env, v, plan, nil, 0)
		if err != nil {
			b.Fatal(err)
		}
		for _, a := range edit.Added {
			if err := removeTables(env, []*manifest.TableMeta{a.Meta}); err != nil {
				b.Fatal(err)
			}
		}
	}
	reportEntries(b, benchEntries, cpu)
}

func BenchmarkPickOf5000Tables(b *testing.B) {
	v := &manifest.Tree{}
	for l, n := range []int{0, 0, 0, 0, 45, 450, 4500} {
		for i := range n {
			lo := i * 1_000_000 / n
			v.Levels[l] = append(v.Levels[l], &manifest.TableMeta{Num: base.FileNum(l*10000 + i), Size: 8 << 20, Entries: 1000,
				Smallest: fmt.Appendf(nil, "%08d", lo), Largest: fmt.Appendf(nil, "%08d", lo+1_000_000/n-1)})
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if Pick(v, Busy{}, PickOptions{BaseBytesMax: 300 << 20, SnapshotMin: base.SeqNumMax}) == nil {
			b.Fatal("nothing to do")
		}
	}
}
