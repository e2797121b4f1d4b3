package compaction

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vfs"
)

const testDir = "/db"

// vlogFilesMax is the last value-log file that tests may point at.
const vlogFilesMax = 1 << 20

// testEnv is an Env over an in-memory file system.
func testEnv(t testing.TB, fs vfs.FS) *Env {
	t.Helper()
	if err := fs.MkdirAll(testDir); err != nil {
		t.Fatal(err)
	}
	codec := compress.NewCodec()
	tables := sstable.NewTableCache(fs, testDir, 100, nil, codec)
	t.Cleanup(func() { tables.Close() })
	var num base.FileNum
	var id uint64
	return &Env{
		FS: fs, Dir: testDir, Tables: tables,
		NewFileNum:  func() base.FileNum { num++; return num },
		LastFileNum: func() base.FileNum { return max(num, vlogFilesMax) },
		NewID:       func() uint64 { id++; return id * 0x9e3779b97f4a7c15 },
		Writer:      sstable.WriterOptions{BlockBytes: 128, ChunkBytes: 512, FilterBitsPerKey: 10, Codec: codec},
	}
}

// tree is a database without logs: what was ever written, and the tables that
// flushes and compactions made of it.
type tree struct {
	t    testing.TB
	rng  *rand.Rand
	env  *Env
	v    *manifest.Tree
	last base.SeqNum

	all      history // everything ever written
	mem      history // not flushed yet
	discards map[base.FileNum]uint64
	made     map[base.FileNum]uint64 // pointer bytes ever made
	offset   uint32
	now      uint64
	horizon  uint64
	snaps    []base.SeqNum
	keys     int
	dirty    bool // tables changed since the last check
	filters  int  // 0: no compaction filter; n: in one of n runs
	verdicts [Change + 1]uint64
}

// testKeyspace is now the default keyspace, now another one.
func testKeyspace(seed uint64) manifest.Keyspace {
	if seed%2 == 0 {
		return manifest.Keyspace{}
	}
	return manifest.Keyspace{Num: uint32(seed), Name: "other"}
}

func newTree(t testing.TB, seed uint64) *tree {
	tr := &tree{
		t: t, rng: rand.New(rand.NewPCG(seed, 1)), env: testEnv(t, vfs.NewMem()), v: &manifest.Tree{Keyspace: testKeyspace(seed)},
		discards: map[base.FileNum]uint64{}, made: map[base.FileNum]uint64{}, now: 1000, keys: 40,
	}
	tr.all.vlog = map[base.Pointer][]byte{}
	return tr
}

func (tr *tree) key() []byte { return fmt.Appendf(nil, "k%02d", tr.rng.IntN(tr.keys)) }

// newPointer appends a value to the imagined value log.
func (tr *tree) newPointer(value []byte) base.Pointer {
	p := base.Pointer{File: base.FileNum(1000 + tr.rng.IntN(3)), Offset: tr.offset,
		Size: uint32(len(value)) + 40, ValueLen: uint32(len(value))}
	tr.offset++
	tr.all.vlog[p] = bytes.Clone(value)
	tr.made[p.File] += uint64(p.Size)
	return p
}

// write does one random operation.
func (tr *tree) write() {
	tr.last++
	key := tr.key()
	value := fmt.Appendf(nil, "v%d.", tr.last)
	if tr.rng.IntN(4) == 0 {
		value = append(value, make([]byte, tr.rng.IntN(200))...)
	}
	kind := base.KindSet
	var payload []byte
	switch n := tr.rng.IntN(20); {
	case n < 4:
		kind = base.KindDelete
	case n < 7:
		kind, payload = base.KindMerge, fmt.Appendf(nil, "+%d", tr.last)
	case n == 7:
		end := append(tr.key(), '!')
		if bytes.Compare(key, end) > 0 {
			key, end = end, key
		}
		rd := rangedel.Tombstone{Start: key, End: end, Seq: tr.last}
		tr.all.tombs = append(tr.all.tombs, rd)
		tr.mem.tombs = append(tr.mem.tombs, rd)
		return
	default:
		if n < 12 {
			kind |= base.FlagExpiry
		}
		expiry := tr.now + uint64(tr.rng.IntN(300))
		if n%2 == 0 {
			p := tr.newPointer(value)
			kind = base.KindSetPointer | kind&base.FlagExpiry
			value = p.Append(nil)
		}
		payload = base.AppendPayload(nil, kind, expiry, value)
	}
	e := iterator.Entry{Key: base.InternalKey{User: key, Trailer: base.MakeTrailer(tr.last, kind)}, Value: payload}
	tr.all.entries = append(tr.all.entries, e)
	tr.mem.entries = append(tr.mem.entries, e)
}

// flush writes the memtable to level 0.
func (tr *tree) flush() {
	env := *tr.env
	env.Keyspace = tr.v.Num
	if tr.rng.IntN(2) == 0 {
		env.ValueThreshold = 50
		env.Separate = func(key []byte, seq base.SeqNum, expiry uint64, value []byte) (base.Pointer, error) {
			return tr.newPointer(value), nil
		}
	}
	dropped := watchDrops(&env)
	filter := tr.filterRun(&env)
	slices.SortFunc(tr.mem.entries, func(a, b iterator.Entry) int { return a.Key.Compare(b.Key) })
	out, err := WriteTables(context.Background(), &env,
		Input{Iter: iterator.NewSlice(tr.mem.entries), RangeDels: rangedel.Build(tr.mem.tombs)},
		WriteParams{Snapshots: tr.snaps, Now: tr.now, TargetTableBytes: tr.target()})
	if err != nil {
		tr.t.Fatal(err)
	}
	if !maps.Equal(dropped, out.Discards) {
		tr.t.Fatalf("flush: dropped %v, discards %v", dropped, out.Discards)
	}
	edit := &manifest.Edit{Discards: out.Discards, ExpiryHorizon: &out.ExpiryHorizon}
	for _, m := range out.Tables {
		edit.Added = append(edit.Added, manifest.AddedTable{Meta: m})
	}
	tr.mem = history{}
	tr.apply(edit)
	filter.done(FilterRun{Flush: true}, edit.Added, out.Stats)
}

// watchDrops sums up what a run says it drops, by file. Each pointer may be
// dropped once.
func watchDrops(env *Env) map[base.FileNum]uint64 {
	dropped := map[base.FileNum]uint64{}
	seen := map[base.Pointer]bool{}
	env.OnDrop = func(p base.Pointer) {
		if !seen[p] {
			dropped[p.File] += uint64(p.Size)
		}
		seen[p] = true
	}
	return dropped
}

func (tr *tree) target() uint64 { return uint64(300 + tr.rng.IntN(3000)) }

// apply makes the version after edit.
func (tr *tree) apply(edit *manifest.Edit) {
	tr.t.Helper()
	next, err := applyEdit(tr.v, edit)
	if err != nil {
		tr.t.Fatal(err)
	}
	tr.v, tr.dirty = next, true
	for file, n := range edit.Discards {
		tr.discards[file] += n
	}
	if edit.ExpiryHorizon != nil {
		tr.horizon = max(tr.horizon, *edit.ExpiryHorizon)
	}
}

// applyEdit returns the version after edit, checked.
func applyEdit(v *manifest.Tree, edit *manifest.Edit) (*manifest.Tree, error) {
	next := &manifest.Tree{Keyspace: v.Keyspace, Levels: v.Levels}
	for _, d := range edit.Deleted {
		i := slices.IndexFunc(next.Levels[d.Level], func(m *manifest.TableMeta) bool { return m.Num == d.Num })
		if i < 0 {
			return nil, fmt.Errorf("edit deletes table %d, which is not in level %d", d.Num, d.Level)
		}
		next.Levels[d.Level] = slices.Delete(slices.Clone(next.Levels[d.Level]), i, i+1)
	}
	for _, a := range edit.Added {
		next.Levels[a.Level] = append(slices.Clone(next.Levels[a.Level]), a.Meta)
	}
	for l := range next.Levels {
		slices.SortFunc(next.Levels[l], func(a, b *manifest.TableMeta) int {
			if l == 0 {
				return cmp.Or(cmp.Compare(b.SeqMax, a.SeqMax), cmp.Compare(b.Num, a.Num))
			}
			return bytes.Compare(a.Smallest, b.Smallest)
		})
	}
	return next, checkTree(next)
}

// checkTree checks the invariants of a tree.
func checkTree(v *manifest.Tree) error {
	trees := []*manifest.Tree{v}
	if v.Num > 0 {
		trees = []*manifest.Tree{{}, v}
	}
	return (&manifest.Version{Trees: trees}).Check()
}

// stored is what the tables hold. It fails if a table that readers look at
// later has a newer version of a key.
func (tr *tree) stored() history {
	h := history{vlog: tr.all.vlog}
	oldest := map[string]base.SeqNum{}
	for _, tables := range tr.v.Levels {
		for _, m := range tables {
			handle, err := tr.env.Tables.Get(m.Num, m.ID)
			if err != nil {
				tr.t.Fatal(err)
			}
			it := handle.NewIter(sstable.IterOptions{})
			for ok := it.First(); ok; ok = it.Next() {
				h.entries = append(h.entries, iterator.Entry{Key: it.Key().Clone(), Value: bytes.Clone(it.Value())})
				user, seq := string(it.Key().User), it.Key().Trailer.SeqNum()
				if o, ok := oldest[user]; ok && seq >= o {
					tr.t.Fatalf("version %d of %s lies below version %d", seq, user, o)
				}
				oldest[user] = seq
			}
			if err := it.Close(); err != nil {
				tr.t.Fatal(err)
			}
			for _, f := range handle.RangeDels().Fragments() {
				for _, s := range f.Seqs {
					h.tombs = append(h.tombs, rangedel.Tombstone{Start: f.Start, End: f.End, Seq: s})
				}
			}
			handle.Release()
		}
	}
	return h
}

// check compares what readers see with what they should see, and the pointers
// that are left with the discards.
func (tr *tree) check(when string) {
	tr.t.Helper()
	tr.dirty = false
	got := tr.stored()
	left := pointerBytes(got.entries)
	for file, n := range pointerBytes(tr.mem.entries) {
		left[file] += n
	}
	for file, made := range tr.made {
		if left[file]+tr.discards[file] != made {
			tr.t.Fatalf("%s: file %d: %d bytes referred to + %d discarded != %d made", when, file, left[file], tr.discards[file], made)
		}
	}
	got.entries = append(got.entries, tr.mem.entries...)
	got.tombs = append(got.tombs, tr.mem.tombs...)
	if tr.horizon > tr.now {
		tr.t.Fatalf("%s: expiry horizon %d lies in the future of %d", when, tr.horizon, tr.now)
	}
	got.index()
	tr.all.index()
	for k := range tr.keys {
		key := fmt.Sprintf("k%02d", k)
		for _, at := range append([]base.SeqNum{base.SeqNumMax}, tr.snaps...) {
			for _, now := range []uint64{tr.now, tr.now + 150} {
				if g, w := got.read(key, at, now), tr.all.read(key, at, now); g != w {
					tr.t.Fatalf("%s: %s at %d, time %d: got %.200q, want %.200q", when, key, at, now, g, w)
				}
			}
		}
	}
}

func (tr *tree) options() PickOptions {
	o := PickOptions{
		L0Trigger: 1 + tr.rng.IntN(4), BaseBytesMax: uint64(2000 + tr.rng.IntN(4000)), Ratio: float64(2 + tr.rng.IntN(4)),
		TargetTableBytes: tr.target(), Now: tr.now, SnapshotMin: base.SeqNumMax,
	}
	if len(tr.snaps) > 0 {
		o.SnapshotMin = tr.snaps[0]
	}
	if tr.rng.IntN(2) == 0 {
		o.Snapshots = append([]base.SeqNum{}, tr.snaps...)
	}
	var sets []*rangedel.Set
	for _, tables := range tr.v.Levels {
		for _, m := range tables {
			if m.RangeDels > 0 {
				h, err := tr.env.Tables.Get(m.Num, m.ID)
				if err != nil {
					tr.t.Fatal(err)
				}
				sets = append(sets, h.RangeDels())
				h.Release()
			}
		}
	}
	if tr.rng.IntN(2) == 0 {
		o.RangeDels = rangedel.Merge(sets...)
	}
	return o
}

// job is a compaction that was picked and has not run.
type job struct {
	plan *Plan
	v    *manifest.Tree
}

// run carries out a job against the version it was picked from and applies the
// result to the newest.
func (tr *tree) run(j job) {
	tr.t.Helper()
	env := *tr.env
	env.ZeroSeqNums = tr.rng.IntN(2) == 0
	dropped := watchDrops(&env)
	filter := tr.filterRun(&env)
	edit, stats, err := Run(context.Background(), &env, j.v, j.plan, tr.snaps, tr.now)
	if err != nil {
		tr.t.Fatal(err)
	}
	if !j.plan.DeleteOnly && !maps.Equal(dropped, edit.Discards) {
		tr.t.Fatalf("%s: dropped %v, discards %v", j.plan, dropped, edit.Discards)
	}
	if !j.plan.TrivialMove && stats.EntriesIn != stats.EntriesOut+stats.Dropped() {
		tr.t.Fatalf("stats do not add up: %+v", stats)
	}
	tr.apply(edit)
	if !j.plan.DeleteOnly && !j.plan.TrivialMove {
		filter.done(FilterRun{OutputLevel: j.plan.OutputLevel, Bottom: j.nothingBelow()}, edit.Added, stats)
	}
}

// step does something random.
func (tr *tree) step(jobs *[]job) {
	switch tr.rng.IntN(12) {
	case 0:
		tr.now += uint64(tr.rng.IntN(100))
	case 1:
		tr.snaps = append(tr.snaps, tr.last)
	case 2:
		if n := len(tr.snaps); n > 0 {
			i := tr.rng.IntN(n)
			tr.snaps = slices.Delete(slices.Clone(tr.snaps), i, i+1)
		}
	case 3, 4, 5:
		for range tr.rng.IntN(40) {
			tr.write()
		}
		tr.flush()
	case 6, 7, 8:
		var plan *Plan
		// Whatever another keyspace does is in nobody's way.
		busy := Busy{Plans: []*Plan{{Keyspace: 99, OutputLevel: lastLevel, Start: []byte{}, End: []byte{0xff}}}}
		for _, j := range *jobs {
			busy.Plans = append(busy.Plans, j.plan)
		}
		if tr.rng.IntN(4) == 0 {
			a, b := tr.key(), tr.key()
			plan = PickRange(tr.v, busy, tr.options(), tr.rng.IntN(manifest.NumLevels), minKey(a, b), append(b, a...))
		} else {
			plan = Pick(tr.v, busy, tr.options())
		}
		if plan != nil {
			*jobs = append(*jobs, job{plan, tr.v})
		}
	default:
		if n := len(*jobs); n > 0 {
			i := tr.rng.IntN(n)
			j := (*jobs)[i]
			*jobs = slices.Delete(*jobs, i, i+1)
			if tr.rng.IntN(2) == 0 {
				j.v = tr.v
			}
			tr.run(j)
		}
	}
}

func TestRandomHistoriesReadTheSameAfterCompaction(t *testing.T) {
	const steps = 120
	budget, first := testkit.Amount{Short: 8, Normal: 24, CI: 24, Full: 5000}.Budget(t), testkit.FirstSeed(t)
	reasons := map[string]int{}
	var verdicts [Change + 1]uint64
	for seed := first - 1; budget.More(int(seed-first)+1) && !t.Failed(); seed++ {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			tr := newTree(t, seed)
			if seed%4 > 0 {
				tr.env.Merge = concatOperator{combines: seed%4 == 2, failOn: []byte{0, 0, 0, '7'}[seed%4]}
			}
			tr.filters = int(seed / 4 % 3)
			var jobs []job
			for i := range steps {
				before := len(jobs)
				tr.step(&jobs)
				if len(jobs) > before {
					p := jobs[before].plan
					reasons[fmt.Sprint(p.Reason, " move ", p.TrivialMove)]++
				}
				if tr.dirty {
					tr.check(fmt.Sprintf("seed %d step %d", seed, i))
				}
			}
			for _, j := range jobs {
				tr.run(j)
			}
			tr.check("at the end")
			tr.checkNoStrayFiles()
			tr.drop()
			for d, n := range tr.verdicts {
				verdicts[d] += n
			}
		})
	}
	t.Log(reasons, "filters kept, dropped, changed", verdicts)
	done := 0
	for _, n := range reasons {
		done += n
	}
	testkit.Count(t, "compactions", done)
}

// drop drops the keyspace: all that its tables referred to is garbage then.
func (tr *tree) drop() {
	if tr.v.Num == 0 {
		return // the default keyspace stays
	}
	tr.v = new(*tr.v)
	tr.v.Dropped = true
	for !tr.v.Empty() {
		tr.run(job{PickDropped(tr.v, Busy{}), tr.v})
	}
	left := pointerBytes(tr.mem.entries)
	for file, made := range tr.made {
		if left[file]+tr.discards[file] != made {
			tr.t.Fatalf("dropped: file %d: %d bytes discarded != %d made", file, tr.discards[file], made)
		}
	}
}

// checkNoStrayFiles removes what no version needs, as the engine would, and
// looks for files that are left without a table.
func (tr *tree) checkNoStrayFiles() {
	for _, tables := range tr.v.Levels {
		for _, m := range tables {
			name := base.FileName(base.FileTable, uint64(m.Num))
			info, err := tr.env.FS.Stat(filepath.Join(testDir, name))
			if err != nil || uint64(info.Size) != m.Size {
				tr.t.Fatalf("table %d: %v, size %d, want %d", m.Num, err, info.Size, m.Size)
			}
		}
	}
}
