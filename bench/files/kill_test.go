package files

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
)

func TestATreeIsStoredWhileBeingKilled(t *testing.T) {
	t.Setenv(asChild, "1")
	o := options(t, writeTree(t, 300))
	phases, err := Kill(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	p := phases[0]
	if c := p.Counters; c["kills"] != 3 || c["checks"] != 4 || c["acknowledged_puts"] < 302 || c["compared_files"] < 604 {
		t.Errorf("%v", c)
	}
	if notes := strings.Join(p.Notes, "\n"); !strings.HasPrefix(notes, "killed 3 times") || !strings.Contains(notes, "every acknowledged file was there") {
		t.Errorf("notes: %s", notes)
	}
	if len(p.Kinds) != 2 || p.Kinds[1].Name != "open" || p.Kinds[1].Latency.Count() != 4 {
		t.Errorf("%+v", p.Kinds)
	}
}

func TestAnEngineThatLosesByAKillIsKilledWithSync(t *testing.T) {
	t.Setenv(asChild, "1")
	o := options(t, writeTree(t, 20))
	real := o.Engine
	forgetful := *real
	forgetful.LostByKill = "the last ones"
	synced := true
	forgetful.Open = func(so engine.Options) (engine.Store, error) {
		synced = synced && so.Sync
		return real.Open(so)
	}
	if !NeedsSync(&forgetful, o.Store) || NeedsSync(real, o.Store) {
		t.Fatal("NeedsSync is wrong")
	}
	o.Engine = &forgetful // the child finds the real one, by its name
	phases, err := Kill(t.Context(), o)
	if err != nil || !synced {
		t.Fatalf("%v; synced: %v", err, synced)
	}
	if note := phases[0].Notes[0]; !strings.Contains(note, "may lose the last ones") {
		t.Errorf("it is not told: %q", note)
	}
}

// job is the first line of a child's input.
func job(t *testing.T, e string, dir, root string, threads int) string {
	t.Helper()
	o := engine.DefaultOptions()
	o.Dir, o.MemtableBytes, o.CacheBytes = dir, killMemtableBytes, killCacheBytes
	line, err := json.Marshal(childJob{Engine: e, Store: o, Root: root, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	return string(line) + "\n"
}

// newKillRun is a run whose store was filled by a child's code, in this process,
// and closed. All files count as acknowledged.
func newKillRun(t *testing.T) *killRun {
	t.Helper()
	o := options(t, writeTree(t, 30))
	k := &killRun{run: &run{Options: o, storeDir: filepath.Join(o.Dir, "store")}, random: rand.New(rand.NewPCG(1, 1)),
		opens: result.NewHistogram(), acknowledged: make([]bool, o.Tree.Len())}
	k.original = k.storeDir
	if err := os.Mkdir(k.storeDir, 0o777); err != nil {
		t.Fatal(err)
	}
	var requests strings.Builder
	for i, path := range o.Tree.paths {
		fmt.Fprintf(&requests, "%d %q\n", i, path)
		k.acknowledged[i] = true
		if _, err := o.Tree.read(path); err != nil {
			t.Fatal(err)
		}
	}
	var answers bytes.Buffer
	if err := Child(strings.NewReader(job(t, "cordwood", k.storeDir, o.Tree.root, 2)+requests.String()), &answers); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(answers.String()); len(got) != 1+o.Tree.Len() || got[0] != childOpen {
		t.Fatalf("the child said %q", got)
	}
	k.counts.acknowledged = uint64(o.Tree.Len())
	return k
}

// change applies a lie to the closed store.
func (k *killRun) change(lie func(engine.Store) error) error {
	if err := k.open(); err != nil {
		return err
	}
	return errors.Join(lie(k.store), k.close())
}

func TestLossesAfterAKillAreCaught(t *testing.T) {
	for name, lie := range map[string]struct {
		change func(engine.Store) error
		want   string
	}{
		"nothing":             {func(engine.Store) error { return nil }, ""},
		"a file lost":         {func(s engine.Store) error { return s.Delete([]byte(someFile)) }, "not found"},
		"a torn file":         {func(s engine.Store) error { return s.Put([]byte(someFile), []byte("x")) }, "the file has"},
		"a file from nowhere": {func(s engine.Store) error { return s.Put([]byte("dir 3/x"), nil) }, "ever stored"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKillRun(t)
			if err := k.change(lie.change); err != nil {
				t.Fatal(err)
			}
			for _, last := range []bool{false, false, false, true} { // on copies and not
				wantWrong(t, k.check(t.Context(), last), lie.want)
			}
			// The scan alone sees it too.
			want := lie.want
			if want == "not found" {
				want = "not in the scan"
			}
			if err := k.open(); err != nil {
				t.Fatal(err)
			}
			wantWrong(t, k.scan(t.Context()), want)
			if err := k.close(); err != nil {
				t.Fatal(err)
			}
			if entries, err := os.ReadDir(k.Dir); err != nil || len(entries) != 1 {
				t.Errorf("%d entries are left beside the store: %v", len(entries)-1, err)
			}
		})
	}
}

func TestUnacknowledgedFilesMayBeThereOrNot(t *testing.T) {
	k := newKillRun(t)
	last := k.Tree.Len() - 1
	k.acknowledged[3] = false    // there
	k.acknowledged[last] = false // not there
	if err := k.change(func(s engine.Store) error { return s.Delete([]byte(k.Tree.paths[last])) }); err != nil {
		t.Fatal(err)
	}
	wantWrong(t, k.check(t.Context(), false), "")
	if k.counts.unannounced != 1 {
		t.Errorf("%d unacknowledged files found, want 1", k.counts.unannounced)
	}
}

func TestTheOrderBringsMissingFilesFirst(t *testing.T) {
	k := newKillRun(t)
	missing := map[int]bool{1: true, 5: true, 9: true}
	for i := range missing {
		k.acknowledged[i] = false
	}
	for _, last := range []bool{false, true} {
		next, seen := k.order(last), map[int]bool{}
		for range missing {
			i, ok := next()
			if !ok || !missing[i] || seen[i] {
				t.Fatalf("last %v: %d, %v comes before the missing ones are done", last, i, ok)
			}
			seen[i] = true
		}
		for range k.Tree.Len() {
			if i, ok := next(); ok == last || !last && seen[i] && !missing[i] {
				t.Fatalf("last %v: then %d, %v", last, i, ok)
			} else if ok {
				seen[i] = true
			}
		}
		if !last && len(seen) != k.Tree.Len() {
			t.Fatalf("only %d files in a pass", len(seen))
		}
	}
}

// brokenStore fails to put.
type brokenStore struct{ engine.Store }

func (brokenStore) Put(_, _ []byte) error { return errors.New("broken") }

func TestAChildReportsWhatItCannotDo(t *testing.T) {
	root := writeTree(t, 3)
	for name, c := range map[string]struct{ input, want string }{
		"no job":       {"", "files -kill only"},
		"bad job":      {"x\n", "reading the job"},
		"no engine":    {job(t, "nonsense", t.TempDir(), root, 1), "no engine"},
		"no threads":   {job(t, "cordwood", t.TempDir(), root, 0), "0 threads"},
		"no such file": {job(t, "cordwood", t.TempDir(), root, 1) + "0 \"missing\"\n1 \"empty\"\n", "missing"},
		"bad quoting":  {job(t, "cordwood", t.TempDir(), root, 1) + "0 missing\n", "request"},
		"empty line":   {job(t, "cordwood", t.TempDir(), root, 1) + "\n", "request"},
		"no folder":    {job(t, "cordwood", filepath.Join(root, "empty"), root, 1), "opening"},
	} {
		err := Child(strings.NewReader(c.input), &bytes.Buffer{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := &child{store: brokenStore{}, root: root, out: &bytes.Buffer{}}
	if err := c.storeFile(`0 "empty"`); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
}

func TestAChildThatFailsEndsTheRun(t *testing.T) {
	t.Setenv(asChild, "1")
	k := newKillRun(t)
	k.storeDir = filepath.Join(k.Dir, "broken")
	writeFile(t, filepath.Join(k.storeDir, "CURRENT"), []byte("nonsense\n"))
	err := k.round(t.Context(), true)
	if err == nil || !strings.Contains(err.Error(), "the child failed") || !strings.Contains(err.Error(), "opening the store") {
		t.Fatalf("got %v", err)
	}
}

func TestCopiesKeepContentsAndHoles(t *testing.T) {
	from, to := t.TempDir(), filepath.Join(t.TempDir(), "copy")
	writeFile(t, filepath.Join(from, "a", "small"), []byte("contents"))
	writeFile(t, filepath.Join(from, "empty"), nil)
	sparse, err := os.Create(filepath.Join(from, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	_, err = sparse.WriteAt([]byte("end"), 32<<20)
	if err = errors.Join(err, sparse.Truncate(96<<20), sparse.Close()); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(t.Context(), to, from); err != nil {
		t.Fatal(err)
	}
	if contents, err := os.ReadFile(filepath.Join(to, "a", "small")); string(contents) != "contents" {
		t.Errorf("got %q, %v", contents, err)
	}
	got, err := os.Open(filepath.Join(to, "sparse"))
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	end := make([]byte, 4)
	if _, err := got.ReadAt(end, 32<<20); err != nil || string(end) != "end\x00" {
		t.Errorf("got %q, %v", end, err)
	}
	if info, err := got.Stat(); err != nil || info.Size() != 96<<20 {
		t.Errorf("%v, %v", info, err)
	}
}
