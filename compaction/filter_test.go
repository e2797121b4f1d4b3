package compaction

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// A scripted case of testdata/filter has settings, entries, and what is left
// of them:
//
//	# name of the case
//	snapshots 5 10
//	above 5 (FilterAbove)
//	now 100
//	bottom, or: bottom a b (these keys only)
//	merge concat, or: apart (no Combine), or: failing (on operands with "!")
//	zero
//	filter a drop, or: filter a change new (the compaction filter; it keeps other keys)
//	rangedel a-f#30
//	a#9 set v
//	a#8 set 50 v (with an expiry)
//	a#7 ptr 12/100 (file and size), or: ptr 50 12/100
//	a#6 merge x
//	a#5 delete
//	----
//	entries that survive, and counts that are not zero
//
// UPDATE_TESTDATA=1 rewrites the answers.
func TestFilterDoesAsWritten(t *testing.T) {
	files, err := filepath.Glob("testdata/filter/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no cases")
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			runScript(t, file, filterAnswer)
		})
	}
}

// runScript compares the answers of all cases of a file.
func runScript(t *testing.T, file string, answer func(string) (string, error)) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	update := os.Getenv("UPDATE_TESTDATA") != ""
	var rewritten []string
	for i, text := range strings.Split(strings.TrimSpace(string(data)), "\n\n") {
		question, want, _ := strings.Cut(text, "\n----\n")
		got, err := answer(question)
		if err != nil {
			t.Fatalf("case %d: %v\n%s", i, err, question)
		}
		if want = strings.TrimSpace(want); got != want && !update {
			t.Errorf("%s\ngot:\n%s\nwant:\n%s", question, got, want)
		}
		rewritten = append(rewritten, question+"\n----\n"+got+"\n")
	}
	if update {
		if err := os.WriteFile(file, []byte(strings.Join(rewritten, "\n")), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// collect is a sink that writes down what it gets.
type collect struct {
	lines []string
	last  string
	err   error
}

func (c *collect) add(key base.InternalKey, payload []byte, first bool) error {
	if first == (string(key.User) == c.last) {
		c.err = errors.New("first of a key is marked wrongly")
	}
	c.last = string(key.User)
	kind := key.Trailer.Kind()
	s := fmt.Sprintf("%s#%d %s", key.User, key.Trailer.SeqNum(), map[base.Kind]string{
		base.KindSet: "set", base.KindSetPointer: "ptr", base.KindDelete: "delete", base.KindMerge: "merge"}[kind.Op()])
	expiry, value, err := base.SplitPayload(kind, payload)
	if kind.HasExpiry() {
		s += fmt.Sprintf(" %d", expiry)
	}
	if kind.Op() == base.KindSetPointer {
		p, perr := base.DecodePointer(value)
		s += fmt.Sprintf(" %d/%d", p.File, p.Size)
		err = errors.Join(err, perr)
	} else if len(value) > 0 {
		s += " " + string(value)
	}
	c.lines = append(c.lines, s)
	return errors.Join(c.err, err)
}

func filterAnswer(text string) (string, error) {
	var snapshots []base.SeqNum
	var above *base.SeqNum
	var entries []iterator.Entry
	var dels []rangedel.Tombstone
	var user *scriptedFilter
	out := &collect{}
	f := &filter{out: out, discards: discards{bytes: map[base.FileNum]uint64{}}, tick: func(int) error { return nil },
		bottom: func([]byte) bool { return false }}
	for _, line := range strings.Split(text, "\n") {
		w := strings.Fields(line)
		if len(w) == 0 || w[0] == "#" {
			continue
		}
		var err error
		switch w[0] {
		case "above":
			above = new(base.SeqNum)
			_, err = fmt.Sscan(w[1], above)
		case "snapshots":
			for _, s := range w[1:] {
				var n base.SeqNum
				_, err = fmt.Sscan(s, &n)
				snapshots = append(snapshots, n)
			}
		case "now":
			_, err = fmt.Sscan(w[1], &f.now)
		case "bottom":
			f.bottom = func(key []byte) bool { return len(w) == 1 || slices.Contains(w[1:], string(key)) }
		case "merge":
			f.merge = map[string]base.MergeOperator{"concat": concatOperator{combines: true}, "apart": concatOperator{},
				"failing": concatOperator{combines: true, failOn: '!'}}[w[1]]
		case "filter":
			if user == nil {
				user = &scriptedFilter{rules: map[string][]string{}}
			}
			user.rules[w[1]] = w[2:]
		case "zero":
			f.zeroSeqs = true
		case "rangedel":
			c := pickCase{}
			err = c.rangeDel(w[1])
			dels = append(dels, c.dels...)
		default:
			var e iterator.Entry
			e, err = parseEntry(w)
			entries = append(entries, e)
		}
		if err != nil {
			return "", fmt.Errorf("%q: %w", line, err)
		}
	}
	f.in = iterator.NewSlice(entries)
	f.stripes = newStripes(snapshots)
	f.cover = rangedel.NewCursor(rangedel.Build(dels))
	if user != nil {
		f.values = &valueFilter{decide: user.decide, from: firstAsked(f.stripes, above)}
	}
	if err := f.walk(); err != nil {
		return "", err
	}
	if user != nil {
		out.lines = append(out.lines, fmt.Sprintf("asked about %d: %s.", len(user.asked), strings.Join(user.asked, ", ")))
	}
	return strings.Join(append(out.lines, filterCounts(f)), "\n"), nil
}

func parseEntry(w []string) (e iterator.Entry, err error) {
	user, seqText, _ := strings.Cut(w[0], "#")
	var seq base.SeqNum
	if _, err := fmt.Sscan(seqText, &seq); err != nil || len(w) < 2 {
		return e, fmt.Errorf("not an entry")
	}
	kinds := map[string]base.Kind{"set": base.KindSet, "ptr": base.KindSetPointer, "delete": base.KindDelete, "merge": base.KindMerge}
	kind, ok := kinds[w[1]]
	if !ok {
		return e, fmt.Errorf("unknown kind")
	}
	var expiry uint64
	if len(w) == 4 {
		kind |= base.FlagExpiry
		if _, err := fmt.Sscan(w[2], &expiry); err != nil {
			return e, err
		}
	}
	var value []byte
	if len(w) > 2 {
		value = []byte(w[len(w)-1])
	}
	if kind.Op() == base.KindSetPointer {
		var p base.Pointer
		if _, err := fmt.Sscanf(string(value), "%d/%d", &p.File, &p.Size); err != nil {
			return e, err
		}
		value = p.Append(nil)
	}
	return entry(user, seq, kind, string(base.AppendPayload(nil, kind, expiry, value))), nil
}

// filterCounts shows what else the filter has to say.
func filterCounts(f *filter) string {
	s := f.stats
	out := fmt.Sprintf("= %d in", s.EntriesIn)
	for _, c := range []struct {
		name string
		n    uint64
	}{{"shadowed", s.Shadowed}, {"covered", s.Covered}, {"tombstones", s.Tombstones}, {"merged", s.Merged},
		{"expired", s.Expired}, {"filtered", s.Filtered}, {"changed", s.Changed}, {"merge errors", s.MergeErrors}, {"horizon", f.horizon}} {
		if c.n > 0 {
			out += fmt.Sprintf(", %s %d", c.name, c.n)
		}
	}
	for _, file := range slices.Sorted(maps.Keys(f.discards.bytes)) {
		out += fmt.Sprintf(", discard %d/%d", file, f.discards.bytes[file])
	}
	if s.EntriesIn != s.EntriesOut+s.Dropped() {
		out += " which does not add up"
	}
	return out
}

// failingSink fails at one entry.
type failingSink struct{ left int }

func (s *failingSink) add(base.InternalKey, []byte, bool) error {
	if s.left--; s.left < 0 {
		return errOperator
	}
	return nil
}

func TestFilterReportsThatAnEntryCannotBeWritten(t *testing.T) {
	entries := []iterator.Entry{
		entry("a", 9, base.KindDelete, ""), entry("a", 4, base.KindSet, "v"),
		entry("b", 9, base.KindMerge, "x"), entry("b", 8, base.KindMerge, "y"), entry("b", 4, base.KindMerge, "z"),
		entry("c", 9, base.KindDelete, ""), entry("c", 4, base.KindMerge, "z"),
		entry("d", 9, base.KindMerge, "x"), entry("d", 8, base.KindSet, "y"),
		entry("e", 9, base.KindDelete, ""),
		entry("f", 9, base.KindMerge, "x"), entry("f", 6, base.KindSet, "y"),
	}
	dels := rangedel.Build([]rangedel.Tombstone{{Start: []byte("f"), End: []byte("g"), Seq: 7}})
	for _, op := range []base.MergeOperator{nil, concatOperator{}, concatOperator{combines: true}} {
		for n := 0; ; n++ {
			f := &filter{in: iterator.NewSlice(entries), out: &failingSink{n}, discards: discards{bytes: map[base.FileNum]uint64{}}, merge: op,
				stripes: newStripes([]base.SeqNum{5}), cover: rangedel.NewCursor(dels),
				tick: func(int) error { return nil }, bottom: func([]byte) bool { return false }}
			err := f.walk()
			if err == nil {
				if f.stats.EntriesOut != uint64(n) || n < 8 {
					t.Errorf("%d entries, but no error at %d", f.stats.EntriesOut, n)
				}
				break
			}
			if !errors.Is(err, errOperator) {
				t.Fatal(err)
			}
		}
	}
}

func TestVeryManyOperandsAreWrittenInParts(t *testing.T) {
	const count, size = 40, 1 << 20
	entries := []iterator.Entry{}
	want := "base"
	for i := range count {
		entries = append(entries, entry("a", base.SeqNum(100-i), base.KindMerge, strings.Repeat(string(rune('A'+i)), size)))
		want += strings.Repeat(string(rune('A'+count-1-i)), size)
	}
	entries = append(entries, entry("a", 1, base.KindSet, "base"))
	out := &collect{}
	f := &filter{in: iterator.NewSlice(entries), out: out, discards: discards{bytes: map[base.FileNum]uint64{}}, merge: concatOperator{combines: true},
		tick: func(int) error { return nil }, bottom: func([]byte) bool { return false }}
	if err := f.walk(); err != nil {
		t.Fatal(err)
	}
	got := ""
	for _, line := range out.lines { // newest first
		got = line[strings.LastIndexByte(line, ' ')+1:] + got
	}
	if got != want || len(out.lines) != 2 {
		t.Errorf("%d entries of %d bytes, want %d bytes", len(out.lines), len(got), len(want))
	}
	if cap(f.run.arena) > mergeArenaKeptMax {
		t.Errorf("%d bytes stay allocated", cap(f.run.arena))
	}
}
