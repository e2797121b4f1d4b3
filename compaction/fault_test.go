package compaction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vfs"
)

func entry(user string, seq base.SeqNum, kind base.Kind, payload string) iterator.Entry {
	return iterator.Entry{Key: base.InternalKey{User: []byte(user), Trailer: base.MakeTrailer(seq, kind)}, Value: []byte(payload)}
}

// twoLevels writes tables to L0 and L5 of a new database, and returns a plan to
// compact all of them.
func twoLevels(t testing.TB, env *Env) (*manifest.Tree, *Plan) {
	t.Helper()
	v := &manifest.Tree{}
	for _, level := range []int{5, 0} {
		first, target := base.SeqNum(100), uint64(400)
		if level == 0 {
			first, target = 1000, 0
		}
		var entries []iterator.Entry
		for i := range 60 {
			e := entry(fmt.Sprintf("key%03d", i), first+base.SeqNum(i), base.KindSet, strings.Repeat("v", 20))
			if i%7 == 0 {
				p := base.Pointer{File: 9, Offset: uint32(level)*1000 + uint32(i), Size: 100, ValueLen: 60}
				e = entry(string(e.Key.User), first+base.SeqNum(i), base.KindSetPointer, string(p.Append(nil)))
			}
			entries = append(entries, e)
		}
		dels := rangedel.Build([]rangedel.Tombstone{{Start: []byte("key050"), End: []byte("key055"), Seq: first + 90}})
		out, err := WriteTables(context.Background(), env, Input{Iter: iterator.NewSlice(entries), RangeDels: dels},
			WriteParams{LevelHint: level, TargetTableBytes: target})
		if err != nil {
			t.Fatal(err)
		}
		v.Levels[level] = out.Tables
	}
	if err := checkTree(v); err != nil {
		t.Fatal(err)
	}
	plan := PickRange(v, Busy{}, PickOptions{TargetTableBytes: 400, BaseBytesMax: 1 << 20}, 0, nil, nil)
	if plan == nil || len(plan.Inputs[1]) < 3 {
		t.Fatalf("unexpected plan: %v", plan)
	}
	return v, plan
}

func listNames(t testing.TB, fs vfs.FS) (names []string) {
	t.Helper()
	infos, err := fs.List(testDir)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range infos {
		names = append(names, i.Name)
	}
	return names
}

func TestFailureOfAnyFileOperationLosesNothing(t *testing.T) {
	for _, c := range []struct{ short, sticky bool }{{false, false}, {false, true}, {true, false}} {
		for n := int64(1); !failNth(t, n, c.short, c.sticky); n++ {
		}
	}
}

// failNth compacts while operation n, counted from the start of the run, fails.
// It reports whether there were fewer operations.
func failNth(t *testing.T, n int64, short, sticky bool) (done bool) {
	mem := vfs.NewMem()
	faulty := vfs.NewFaulty(mem, nil)
	env := testEnv(t, faulty)
	v, plan := twoLevels(t, env)
	before := listNames(t, mem)
	// Nothing is open yet, so that opening fails too.
	env.Tables = sstable.NewTableCache(faulty, testDir, 100, nil, env.Writer.Codec)
	defer func() { env.Tables.Close() }()

	at := faulty.Count() + n
	hit := false
	var failed vfs.Op
	faulty.SetDecide(func(op vfs.Op) *vfs.Fault {
		if op.Index == at || sticky && op.Index > at {
			if !hit {
				failed = op
			}
			hit = true
			return &vfs.Fault{Err: vfs.ErrInjected, Short: short}
		}
		return nil
	})
	edit, _, err := Run(context.Background(), env, v, plan, nil, 0)
	faulty.SetDecide(nil)
	if !hit {
		if err != nil {
			t.Fatal(err)
		}
		return true
	}
	if err == nil {
		if failed.Kind != vfs.OpFlush && failed.Kind != vfs.OpPreallocate { // hints
			t.Fatalf("operation %d, %+v: failure passed unnoticed", n, failed)
		}
		if next, err := applyEdit(v, edit); err != nil || len(next.Levels[plan.OutputLevel]) == 0 {
			t.Fatalf("operation %d: %v", n, err)
		}
		return false
	}
	if !errors.Is(err, vfs.ErrInjected) || edit != nil {
		t.Fatalf("operation %d: error %v, edit %v", n, err, edit)
	}
	after := listNames(t, mem)
	for _, name := range before {
		if !slices.Contains(after, name) {
			t.Fatalf("operation %d: input %s is gone", n, name)
		}
	}
	if !sticky && len(after) != len(before) {
		// Removing was not what failed, so it must have been done.
		t.Fatalf("operation %d (%v): left %v, before %v", n, err, after, before)
	}
	// The same plan works on another try.
	if _, _, err := Run(context.Background(), env, v, plan, nil, 0); err != nil {
		t.Fatalf("operation %d: second try: %v", n, err)
	}
	return false
}

func TestOutputsOutlivePowerLoss(t *testing.T) {
	mem := vfs.NewMem()
	env := testEnv(t, mem)
	if err := mem.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	v, plan := twoLevels(t, env)
	edit, _, err := Run(context.Background(), env, v, plan, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	after := mem.CrashClone(nil)
	tables := sstable.NewTableCache(after, testDir, 100, nil, env.Writer.Codec)
	defer tables.Close()
	for _, a := range edit.Added {
		h, err := tables.Get(a.Meta.Num, a.Meta.ID)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Verify(context.Background()); err != nil {
			t.Error(err)
		}
		h.Release()
	}
}

// brokenIter fails at its n-th entry.
type brokenIter struct {
	iterator.Iterator
	left int
	err  error
}

func (b *brokenIter) First() bool { return b.step(b.Iterator.First()) }
func (b *brokenIter) Next() bool  { return b.step(b.Iterator.Next()) }
func (b *brokenIter) Err() error  { return b.err }

func (b *brokenIter) step(ok bool) bool {
	if b.left--; b.left < 0 {
		b.err = vfs.ErrInjected
		return false
	}
	return ok
}

func TestInputErrorIsNeverTheEnd(t *testing.T) {
	var entries []iterator.Entry
	for i := range 50 {
		entries = append(entries, entry(fmt.Sprintf("k%02d", i), base.SeqNum(i+1), base.KindSet, "v"))
	}
	for left := range entries {
		mem := vfs.NewMem()
		env := testEnv(t, mem)
		it := &brokenIter{Iterator: iterator.NewSlice(entries), left: left}
		out, err := WriteTables(context.Background(), env, Input{Iter: it}, WriteParams{LevelHint: 5, TargetTableBytes: 200})
		if out != nil || !errors.Is(err, vfs.ErrInjected) {
			t.Fatalf("error at entry %d: %v, %v", left, out, err)
		}
		if names := listNames(t, mem); len(names) > 0 || mem.OpenHandles() > 0 {
			t.Fatalf("error at entry %d left %v, %d handles", left, names, mem.OpenHandles())
		}
	}
}

func TestShortInputTableIsNoticed(t *testing.T) {
	mem := vfs.NewMem()
	env := testEnv(t, mem)
	v, plan := twoLevels(t, env)
	more := *plan.Inputs[1][1]
	more.Entries++ // as if the table had lost one
	plan.Inputs[1] = slices.Clone(plan.Inputs[1])
	plan.Inputs[1][1] = &more
	before := listNames(t, mem)
	_, _, err := Run(context.Background(), env, v, plan, nil, 0)
	if _, ok := errors.AsType[*base.CorruptionError](err); !ok {
		t.Fatal(err)
	}
	if after := listNames(t, mem); !slices.Equal(after, before) {
		t.Fatalf("left %v, before %v", after, before)
	}
}

func TestDamagedInputStopsTheRun(t *testing.T) {
	mem := vfs.NewMem()
	env := testEnv(t, mem)
	v, plan := twoLevels(t, env)
	before := listNames(t, mem)
	for _, m := range plan.Inputs[1] {
		path := testDir + "/" + base.FileName(base.FileTable, uint64(m.Num))
		good, err := vfs.ReadFile(mem, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for at := 0; at < len(good); at += 7 {
			f, err := mem.OpenReadWrite(path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt([]byte{good[at] ^ 0x40}, int64(at)); err != nil {
				t.Fatal(err)
			}
			env.Tables = sstable.NewTableCache(mem, testDir, 100, nil, env.Writer.Codec)
			edit, _, err := Run(context.Background(), env, v, plan, nil, 0)
			if err == nil {
				// The filter alone may be damaged: the result is whole then.
				var n uint64
				for _, a := range edit.Added {
					n += a.Meta.Entries
					if err := mem.Remove(testDir + "/" + base.FileName(base.FileTable, uint64(a.Meta.Num))); err != nil {
						t.Fatal(err)
					}
				}
				if n != 55 { // five are covered by the range tombstone
					t.Fatalf("damage at %d: %d entries", at, n)
				}
			} else if _, ok := errors.AsType[*base.CorruptionError](err); !ok {
				t.Fatalf("damage at %d: %v", at, err)
			}
			if after := listNames(t, mem); !slices.Equal(after, before) {
				t.Fatalf("damage at %d: left %v, before %v", at, after, before)
			}
			if _, err := f.WriteAt(good, 0); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Close(), env.Tables.Close()); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestMalformedEntriesStopTheRun(t *testing.T) {
	for _, c := range []struct {
		name    string
		entries []iterator.Entry
	}{
		{"unknown kind", []iterator.Entry{entry("a", 1, 9, "")}},
		{"range delete", []iterator.Entry{entry("a", 1, base.KindRangeDelete, "b")}},
		{"no expiry", []iterator.Entry{entry("a", 1, base.KindSet|base.FlagExpiry, "1234567")}},
		{"kept pointer", []iterator.Entry{entry("a", 1, base.KindSetPointer, "\xff")}},
		{"dropped pointer", []iterator.Entry{entry("a", 2, base.KindSet, "v"), entry("a", 1, base.KindSetPointer, "\xff")}},
		{"dropped short pointer", []iterator.Entry{entry("a", 2, base.KindSet, "v"), entry("a", 1, base.KindSetPointer|base.FlagExpiry, "1")}},
		{"dropped pointer to file 0", []iterator.Entry{entry("a", 2, base.KindSet, "v"), entry("a", 1, base.KindSetPointer, "\x00\x01\x01\x01")}},
		{"dropped pointer to no file", []iterator.Entry{entry("a", 2, base.KindSet, "v"), entry("a", 1, base.KindSetPointer, "\xff\xff\xff\x7f\x01\x01\x01")}},
		{"covered pointer", []iterator.Entry{entry("c", 1, base.KindSetPointer, "\xff")}},
		{"expired pointer", []iterator.Entry{entry("a", 1, base.KindSetPointer|base.FlagExpiry, "\x01\x00\x00\x00\x00\x00\x00\x00\xff")}},
		{"keys descend", []iterator.Entry{entry("b", 1, base.KindSet, ""), entry("a", 2, base.KindSet, "")}},
		{"versions ascend", []iterator.Entry{entry("a", 1, base.KindSet, ""), entry("a", 2, base.KindSet, "")}},
		{"twice", []iterator.Entry{entry("a", 1, base.KindSet, ""), entry("a", 1, base.KindSet, "")}},
	} {
		mem := vfs.NewMem()
		in := Input{Iter: &unchecked{entries: c.entries}, RangeDels: rangedel.Build([]rangedel.Tombstone{{Start: []byte("c"), End: []byte("d"), Seq: 5}})}
		out, err := WriteTables(context.Background(), testEnv(t, mem), in, WriteParams{Now: 10})
		if _, ok := errors.AsType[*base.CorruptionError](err); out != nil || !ok {
			t.Errorf("%s: %v, %v", c.name, out, err)
		}
		if names := listNames(t, mem); len(names) > 0 {
			t.Errorf("%s: left %v", c.name, names)
		}
	}
}

// unchecked is a forward iterator over entries in any order.
type unchecked struct {
	iterator.Iterator
	entries []iterator.Entry
	i       int
}

func (u *unchecked) First() bool           { u.i = 0; return u.i < len(u.entries) }
func (u *unchecked) Next() bool            { u.i++; return u.i < len(u.entries) }
func (u *unchecked) Key() base.InternalKey { return u.entries[u.i].Key }
func (u *unchecked) Value() []byte         { return u.entries[u.i].Value }
func (u *unchecked) Err() error            { return nil }

func TestRunStopsWhenTold(t *testing.T) {
	errStop := errors.New("stop")
	var entries []iterator.Entry
	for i := range 3000 {
		entries = append(entries, entry(fmt.Sprintf("k%05d", i), base.SeqNum(i+1), base.KindSet, strings.Repeat("x", 100)))
	}
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		ctx    context.Context
		cancel func() error
		want   error
	}{{canceled, nil, context.Canceled}, {context.Background(), func() error { return errStop }, errStop}} {
		mem := vfs.NewMem()
		env := testEnv(t, mem)
		env.Cancel = c.cancel
		_, err := WriteTables(c.ctx, env, Input{Iter: iterator.NewSlice(entries)}, WriteParams{})
		if !errors.Is(err, c.want) || len(listNames(t, mem)) > 0 {
			t.Errorf("%v, left %v", err, listNames(t, mem))
		}
	}
	env := testEnv(t, vfs.NewMem())
	paced, calls := 0, 0
	env.Pace = func(n int) { paced += n; calls++ }
	out, err := WriteTables(context.Background(), env, Input{Iter: iterator.NewSlice(entries)}, WriteParams{})
	if err != nil {
		t.Fatal(err)
	}
	if uint64(paced) != out.Stats.BytesIn || paced != 3000*114 || calls < 5 {
		t.Errorf("paced %d bytes in %d calls, read %d", paced, calls, out.Stats.BytesIn)
	}
}

func TestSeparateFailureFailsTheFlush(t *testing.T) {
	mem := vfs.NewMem()
	env := testEnv(t, mem)
	env.ValueThreshold = 10
	env.Separate = func([]byte, base.SeqNum, uint64, []byte) (base.Pointer, error) {
		return base.Pointer{}, vfs.ErrInjected
	}
	in := iterator.NewSlice([]iterator.Entry{entry("a", 1, base.KindSet, "small"), entry("b", 2, base.KindSet, "large enough")})
	if _, err := WriteTables(context.Background(), env, Input{Iter: in}, WriteParams{}); !errors.Is(err, vfs.ErrInjected) {
		t.Error(err)
	}
	if names := listNames(t, mem); len(names) > 0 {
		t.Errorf("left %v", names)
	}
}

func TestSeparatedValueKeepsItsExpiry(t *testing.T) {
	env := testEnv(t, vfs.NewMem())
	env.ValueThreshold = 5
	var got []string
	env.Separate = func(key []byte, seq base.SeqNum, expiry uint64, value []byte) (base.Pointer, error) {
		got = append(got, fmt.Sprintf("%s#%d %d %s", key, seq, expiry, value))
		return base.Pointer{File: 3, Offset: 7, Size: 50, ValueLen: uint32(len(value))}, nil
	}
	kind := base.KindSet | base.FlagExpiry
	in := iterator.NewSlice([]iterator.Entry{
		entry("a", 1, kind, string(base.AppendPayload(nil, kind, 99, []byte("1234")))),
		entry("b", 2, kind, string(base.AppendPayload(nil, kind, 99, []byte("12345")))),
		entry("c", 3, base.KindMerge, "123456"),
	})
	out, err := WriteTables(context.Background(), env, Input{Iter: in}, WriteParams{Now: 50})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, []string{"b#2 99 12345"}) || out.Stats.Separated != 1 || out.Stats.SeparatedBytes != 50 {
		t.Errorf("separated %v, %+v", got, out.Stats)
	}
	h, err := env.Tables.Get(out.Tables[0].Num, out.Tables[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Release()
	it := h.NewIter(sstable.IterOptions{})
	defer it.Close()
	it.SeekGE([]byte("b"), base.SeekTrailer(base.SeqNumMax))
	want := base.AppendPayload(nil, kind, 99, base.Pointer{File: 3, Offset: 7, Size: 50, ValueLen: 5}.Append(nil))
	if it.Key().Trailer != base.MakeTrailer(2, base.KindSetPointer|base.FlagExpiry) || !bytes.Equal(it.Value(), want) {
		t.Errorf("stored %v %x", it.Key(), it.Value())
	}
	if m := out.Tables[0]; m.VlogBytes != 50 || m.Expiring != 2 {
		t.Errorf("meta %+v", m)
	}
}
