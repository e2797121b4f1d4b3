package compaction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/vfs"
)

// scriptedFilter does what a case of testdata/filter says, and notes what it is
// asked about: keys with values, or with sizes of values that it does not read.
type scriptedFilter struct {
	rules map[string][]string
	asked []string
}

func (s *scriptedFilter) decide(e *FilterEntry) (Decision, error) {
	note := fmt.Sprintf("%s %d", e.Key, e.ValueSize())
	if e.atHand {
		value, err := e.Value()
		if err != nil || len(value) != e.ValueSize() {
			return Keep, fmt.Errorf("%q of %d bytes: %w", value, e.ValueSize(), err)
		}
		note = fmt.Sprintf("%s=%s", e.Key, value)
	}
	if e.ExpiresAt > 0 {
		note += fmt.Sprintf(" until %d", e.ExpiresAt)
	}
	s.asked = append(s.asked, note)
	rule := s.rules[string(e.Key)]
	if len(rule) == 0 {
		return Keep, nil
	}
	if rule[0] == "drop" {
		return Drop, nil
	}
	e.Replace = []byte(rule[1])
	return Change, nil
}

// decideFilter is a Filter made of a function.
type decideFilter FilterFunc

func (d decideFilter) Begin(FilterRun) FilterFunc { return FilterFunc(d) }

// beginFilter is a Filter made of its Begin.
type beginFilter func(FilterRun) FilterFunc

func (b beginFilter) Begin(run FilterRun) FilterFunc { return b(run) }

// sixtyValues answers ReadValue for twoLevels.
func sixtyValues([]byte, base.SeqNum, base.Pointer) ([]byte, error) {
	return bytes.Repeat([]byte("p"), 60), nil
}

func TestFilterOfKeysNeverReadsTheValueLog(t *testing.T) {
	env := testEnv(t, vfs.NewMem())
	v, plan := twoLevels(t, env)
	env.ReadValue = func([]byte, base.SeqNum, base.Pointer) ([]byte, error) {
		t.Error("the value log was read")
		return nil, vfs.ErrInjected
	}
	var keys []string
	pointers := 0
	env.Filter = decideFilter(func(e *FilterEntry) (Decision, error) {
		keys = append(keys, string(e.Key))
		if e.ValueSize() == 60 {
			pointers++
		}
		return Decision(len(keys) % 3), nil
	})
	_, stats, err := Run(context.Background(), env, v, plan, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	// Of 60 keys, 5 are covered and 9 have pointers.
	if len(keys) != 55 || !slices.IsSorted(keys) || pointers != 9 {
		t.Errorf("asked about %d keys, %d pointers", len(keys), pointers)
	}
	if stats.Filtered != 19 || stats.Changed != 18 || stats.Tombstones != stats.Filtered {
		t.Errorf("%+v", stats)
	}
}

func TestFilterReadsAValueOnce(t *testing.T) {
	env := testEnv(t, vfs.NewMem())
	v, plan := twoLevels(t, env)
	reads := map[base.Pointer]int{}
	env.ReadValue = func(key []byte, seq base.SeqNum, p base.Pointer) ([]byte, error) {
		reads[p]++
		if want := fmt.Sprintf("key%03d", p.Offset); string(key) != want || seq != 1000+base.SeqNum(p.Offset) {
			t.Errorf("asked for %s#%d at %v", key, seq, p)
		}
		return sixtyValues(key, seq, p)
	}
	env.Filter = decideFilter(func(e *FilterEntry) (Decision, error) {
		for range 2 {
			value, err := e.Value()
			if err != nil || len(value) != e.ValueSize() || strings.Trim(string(value), "pv") != "" {
				t.Errorf("%s: %q, %v", e.Key, value, err)
			}
		}
		return Keep, nil
	})
	edit, _, err := Run(context.Background(), env, v, plan, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	if counts := slices.Compact(slices.Collect(maps.Values(reads))); len(reads) != 9 || !slices.Equal(counts, []int{1}) {
		t.Errorf("reads %v", reads)
	}
	var vlog uint64
	for _, a := range edit.Added {
		vlog += a.Meta.VlogBytes
	}
	if vlog != 900 || edit.Discards[9] != 900 { // the older ones
		t.Errorf("%d bytes kept, discards %v", vlog, edit.Discards)
	}
}

// failingRun runs a filter that must fail, and checks that nothing is left of
// the run.
func failingRun(t *testing.T, filter Filter, read func([]byte, base.SeqNum, base.Pointer) ([]byte, error)) error {
	t.Helper()
	mem := vfs.NewMem()
	env := testEnv(t, mem)
	v, plan := twoLevels(t, env)
	before := listNames(t, mem)
	env.Filter, env.ReadValue = filter, read
	edit, _, err := Run(context.Background(), env, v, plan, nil, 0)
	if edit != nil || err == nil {
		t.Fatal("the run did not fail")
	}
	if after := listNames(t, mem); !slices.Equal(after, before) {
		t.Fatalf("left %v, before %v", after, before)
	}
	return err
}

func TestFilterThatFailsFailsTheRun(t *testing.T) {
	late := func(fn FilterFunc) Filter { // output has been written by then
		n := 0
		return decideFilter(func(e *FilterEntry) (Decision, error) {
			if n++; n < 40 {
				return Keep, nil
			}
			return fn(e)
		})
	}
	for _, c := range []struct {
		name   string
		filter Filter
		want   string
		panics bool
	}{
		{"error", late(func(*FilterEntry) (Decision, error) { return Drop, errOperator }), "compaction filter: operator fails", false},
		{"panic", late(func(e *FilterEntry) (Decision, error) { return Decision(e.Key[1000]), nil }), "compaction filter panicked: runtime error: index out of range", true},
		{"decision", late(func(*FilterEntry) (Decision, error) { return Change + 1, nil }), "unknown decision 3", false},
		{"begin", beginFilter(func(FilterRun) FilterFunc { panic("no") }), "compaction filter panicked: no", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := failingRun(t, c.filter, sixtyValues)
			fe, ok := errors.AsType[*FilterError](err)
			if !ok || !strings.Contains(err.Error(), c.want) {
				t.Fatal(err)
			}
			if c.panics != (fe.Panic != nil) || c.panics != bytes.Contains(fe.Stack, []byte("valuefilter_test.go")) || c.panics != (fe.Err == nil) {
				t.Errorf("%v %v\n%s", fe.Err, fe.Panic, fe.Stack)
			}
			if c.name == "error" && !errors.Is(err, errOperator) {
				t.Error(err)
			}
		})
	}
}

func TestValueThatCannotBeReadIsKeptIfDamagedAndElseFailsTheRun(t *testing.T) {
	damaged := base.Corruptf("000009.vlog", 12, "checksum")
	reads := map[string]func([]byte, base.SeqNum, base.Pointer) ([]byte, error){
		"damage": func([]byte, base.SeqNum, base.Pointer) ([]byte, error) { return nil, damaged },
		"short": func(key []byte, seq base.SeqNum, p base.Pointer) ([]byte, error) {
			value, err := sixtyValues(key, seq, p)
			return value[1:], err
		},
		"fault":   func([]byte, base.SeqNum, base.Pointer) ([]byte, error) { return nil, vfs.ErrInjected },
		"nothing": nil,
	}
	filters := map[string]FilterFunc{
		"passed on": func(e *FilterEntry) (Decision, error) {
			_, err := e.Value()
			return Keep, err
		},
		"kept": func(e *FilterEntry) (Decision, error) {
			_, _ = e.Value()
			return Keep, nil
		},
		"dropped": func(e *FilterEntry) (Decision, error) {
			if _, err := e.Value(); err != nil {
				return Drop, nil
			}
			return Keep, nil
		},
		"panic": func(e *FilterEntry) (Decision, error) {
			if _, err := e.Value(); err != nil {
				panic(err)
			}
			return Keep, nil
		},
	}
	for how, read := range reads {
		for what, fn := range filters {
			t.Run(how+" "+what, func(t *testing.T) {
				if how == "damage" || how == "short" {
					env := testEnv(t, vfs.NewMem())
					v, plan := twoLevels(t, env)
					env.Filter, env.ReadValue = decideFilter(fn), read
					if _, stats, err := Run(context.Background(), env, v, plan, nil, 0); err != nil || stats.Filtered+stats.Changed > 0 {
						t.Error(err, stats)
					}
					return
				}
				err := failingRun(t, decideFilter(fn), read)
				if _, ok := errors.AsType[*FilterError](err); ok {
					t.Error(err)
				}
				if how == "fault" && !errors.Is(err, vfs.ErrInjected) || how == "nothing" && !errors.Is(err, errNoReadValue) {
					t.Error(err)
				}
			})
		}
	}
}

// contents lists what tables hold, with the lengths of values.
func contents(t *testing.T, env *Env, tables []*manifest.TableMeta) (lines []string) {
	t.Helper()
	tr := &tree{t: t, env: env}
	var added []manifest.AddedTable
	for _, m := range tables {
		added = append(added, manifest.AddedTable{Meta: m})
	}
	tr.eachEntry(added, func(key base.InternalKey, payload []byte) {
		kind := key.Trailer.Kind()
		expiry, value, err := base.SplitPayload(kind, payload)
		if err != nil {
			t.Fatal(err)
		}
		size := len(value)
		if kind.Op() == base.KindSetPointer {
			p, err := base.DecodePointer(value)
			if err != nil {
				t.Fatal(err)
			}
			size = int(p.ValueLen)
		}
		lines = append(lines, fmt.Sprintf("%s#%d %s %d %d", key.User, key.Trailer.SeqNum(), kind, size, expiry))
	})
	return lines
}

func TestFlushSeparatesWhatTheFilterLeaves(t *testing.T) {
	ptr := string(base.Pointer{File: 7, Size: 540, ValueLen: 500}.Append(nil))
	large, kind := strings.Repeat("x", 100), base.KindSet|base.FlagExpiry
	entries := []iterator.Entry{
		entry("changed-large", 1, base.KindSet, "x"),
		entry("changed-large-expiring", 2, kind, string(base.AppendPayload(nil, kind, 99, []byte("x")))),
		entry("changed-pointer", 3, base.KindSetPointer, ptr),
		entry("changed-small", 4, base.KindSet, large),
		entry("dropped", 5, base.KindSet, large),
		entry("kept", 6, base.KindSet, large),
		entry("kept-pointer", 7, base.KindSetPointer, ptr),
	}
	filter := decideFilter(func(e *FilterEntry) (Decision, error) {
		switch key := string(e.Key); {
		case strings.HasPrefix(key, "changed-large"), key == "changed-pointer":
			e.Replace = bytes.Repeat([]byte("y"), 200)
			return Change, nil
		case key == "changed-small":
			value, err := e.Value() // at hand
			e.Replace = value[:7]
			return Change, err
		case key == "dropped":
			return Drop, nil
		}
		return Keep, nil
	})
	for _, flush := range []bool{true, false} {
		env := testEnv(t, vfs.NewMem())
		env.Filter = filter
		var separated []string
		if flush {
			env.ValueThreshold = 50
			env.Separate = func(key []byte, seq base.SeqNum, expiry uint64, value []byte) (base.Pointer, error) {
				separated = append(separated, fmt.Sprintf("%s#%d %c%d %d", key, seq, value[0], len(value), expiry))
				return base.Pointer{File: 8, Size: 300, ValueLen: uint32(len(value))}, nil
			}
		}
		out, err := WriteTables(context.Background(), env, Input{Iter: iterator.NewSlice(entries)}, WriteParams{Now: 50})
		if err != nil {
			t.Fatal(err)
		}
		wantSeparated := []string{"changed-large#1 y200 0", "changed-large-expiring#2 y200 99", "changed-pointer#3 y200 0", "kept#6 x100 0"}
		set, with := base.KindSet, base.KindSet|base.FlagExpiry
		if flush {
			set, with = base.KindSetPointer, base.KindSetPointer|base.FlagExpiry
		} else {
			wantSeparated = nil
		}
		want := []string{
			fmt.Sprintf("changed-large#1 %s 200 0", set), fmt.Sprintf("changed-large-expiring#2 %s 200 99", with),
			fmt.Sprintf("changed-pointer#3 %s 200 0", set), fmt.Sprintf("changed-small#4 %s 7 0", base.KindSet),
			fmt.Sprintf("dropped#5 %s 0 0", base.KindDelete), fmt.Sprintf("kept#6 %s 100 0", set),
			fmt.Sprintf("kept-pointer#7 %s 500 0", base.KindSetPointer),
		}
		if got := contents(t, env, out.Tables); !slices.Equal(got, want) || !slices.Equal(separated, wantSeparated) {
			t.Errorf("flush %v: stored\n%s\nwant\n%s\nseparated %q", flush, strings.Join(got, "\n"), strings.Join(want, "\n"), separated)
		}
		if !maps.Equal(out.Discards, map[base.FileNum]uint64{7: 540}) {
			t.Errorf("flush %v: discards %v", flush, out.Discards)
		}
	}
}

func TestFilterMayLeaveARunAlone(t *testing.T) {
	env := testEnv(t, vfs.NewMem())
	v, plan := twoLevels(t, env)
	var runs []FilterRun
	env.Filter = beginFilter(func(run FilterRun) FilterFunc {
		runs = append(runs, run)
		return nil
	})
	if _, stats, err := Run(context.Background(), env, v, plan, nil, 0); err != nil || stats.EntriesOut != 55 {
		t.Fatal(stats, err)
	}
	if !slices.Equal(runs, []FilterRun{{OutputLevel: plan.OutputLevel, Bottom: true}}) {
		t.Errorf("%+v", runs)
	}
}

func TestFilterCannotReachWhatIsNotItsOwn(t *testing.T) {
	env := testEnv(t, vfs.NewMem())
	v, plan := twoLevels(t, env)
	env.ReadValue = sixtyValues
	var kept *FilterEntry
	env.Filter = decideFilter(func(e *FilterEntry) (Decision, error) {
		kept = e
		value, err := e.Value()
		if cap(value) != len(value) || cap(e.Key) != len(e.Key) {
			t.Errorf("%s: capacity for more", e.Key)
		}
		return Keep, err
	})
	if _, _, err := Run(context.Background(), env, v, plan, nil, 0); err != nil {
		t.Fatal(err)
	}
	if value, err := kept.Value(); value != nil || !errors.Is(err, errNoEntry) || kept.ValueSize() != 0 {
		t.Errorf("after the run: %q, %v", value, err)
	}
}

// A key and a pointer are small, a value is not: the run must be told to stop,
// and be slowed, by what the filter reads too.
func TestReadingForTheFilterIsPaced(t *testing.T) {
	env := testEnv(t, vfs.NewMem())
	const size, count = 20 << 10, 50
	var entries []iterator.Entry
	for i := range count {
		p := base.Pointer{File: 7, Offset: uint32(i), Size: size + 40, ValueLen: size}
		entries = append(entries, entry(fmt.Sprintf("k%02d", i), base.SeqNum(i), base.KindSetPointer, string(p.Append(nil))))
	}
	env.ReadValue = func([]byte, base.SeqNum, base.Pointer) ([]byte, error) { return make([]byte, size), nil }
	env.Filter = decideFilter(func(e *FilterEntry) (Decision, error) {
		_, err := e.Value()
		return Keep, err
	})
	paced, asked := 0, 0
	env.Pace = func(n int) { paced += n }
	env.Cancel = func() error { asked++; return nil }
	out, err := WriteTables(context.Background(), env, Input{Iter: iterator.NewSlice(entries)}, WriteParams{})
	if err != nil {
		t.Fatal(err)
	}
	if paced < size*count-tickBytes || asked < count/2 || out.Stats.BytesIn > 50*count {
		t.Errorf("paced by %d bytes, asked %d times, %d bytes of entries", paced, asked, out.Stats.BytesIn)
	}
}

// compactAll goes through the levels as a caller of PickRange does.
func (tr *tree) compactAll(o PickOptions) {
	tr.t.Helper()
	for level := range manifest.NumLevels {
		for rounds := 0; ; rounds++ {
			plan := PickRange(tr.v, Busy{}, o, level, nil, nil)
			if plan == nil {
				break
			}
			if rounds > 1000 {
				tr.t.Fatalf("level %d has no end: %s", level, plan)
			}
			tr.run(job{plan, tr.v})
		}
	}
	tr.check("after a manual compaction")
}

func TestManualCompactionShowsEverythingToTheFilter(t *testing.T) {
	total := 0
	for seed := range 10 {
		tr := newTree(t, uint64(seed))
		var jobs []job
		for range 60 {
			tr.step(&jobs)
		}
		for _, j := range jobs {
			tr.run(j)
		}
		tr.snaps, tr.now = nil, tr.now+1000 // all that can expire has
		opts := PickOptions{L0Trigger: 2, BaseBytesMax: 4000, TargetTableBytes: 1000, Now: tr.now, SnapshotMin: base.SeqNumMax}
		tr.compactAll(opts) // to the bottom, where nothing is left to drop
		asked := map[string]int{}
		tr.env.Filter = decideFilter(func(e *FilterEntry) (Decision, error) {
			asked[string(e.Key)]++
			return Keep, nil
		})
		opts.RewriteBefore = tr.env.NewFileNum()
		tr.compactAll(opts)
		last := ""
		for _, e := range tr.stored().entries {
			if string(e.Key.User) == last {
				continue // it stands below an operand
			}
			last = string(e.Key.User)
			if op := e.Key.Trailer.Kind().Op(); (op == base.KindSet || op == base.KindSetPointer) != (asked[string(e.Key.User)] == 1) {
				t.Errorf("seed %d: asked %d times about %v", seed, asked[string(e.Key.User)], e.Key)
			}
		}
		total += len(asked)
	}
	if total < 50 {
		t.Errorf("asked about %d keys", total)
	}
}
