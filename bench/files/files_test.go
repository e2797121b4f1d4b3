package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
	_ "github.com/cordwood-db/cordwood/bench/engine/cordwood"
	"github.com/cordwood-db/cordwood/bench/result"
)

// asChild makes the test binary the child of Kill.
const asChild = "KVBENCH_TEST_FILES_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		if err := Child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// cordwood is the engine of these tests.
func cordwood(t *testing.T) *engine.Engine {
	t.Helper()
	e, ok := engine.Find("cordwood")
	if !ok {
		t.Fatal("the engine is not registered")
	}
	return e
}

func writeFile(t *testing.T, name string, contents []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, contents, 0o666); err != nil {
		t.Fatal(err)
	}
}

// writeTree makes a tree of files from empty to 20 KB, with odd names.
func writeTree(t *testing.T, files int) (root string) {
	t.Helper()
	root = filepath.Join(t.TempDir(), "tree")
	random := rand.New(rand.NewPCG(1, 2))
	for i := range files {
		contents := make([]byte, random.IntN(200)*random.IntN(100))
		for at := range contents {
			contents[at] = byte(random.Uint32() % 8)
		}
		writeFile(t, filepath.Join(root, fmt.Sprintf("dir %d", i%7), "sub", fmt.Sprintf("file-%d ö.txt", i)), contents)
	}
	writeFile(t, filepath.Join(root, "empty"), nil)
	writeFile(t, filepath.Join(root, "dir 1.txt"), []byte("sorts between a folder and its files"))
	return root
}

// options are those of a run on a tree.
func options(t *testing.T, root string) Options {
	t.Helper()
	tree, err := Walk(t.Context(), root)
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	o := engine.DefaultOptions()
	o.MemtableBytes, o.CacheBytes = 1<<20, 8<<20
	return Options{Engine: cordwood(t), Store: o, Dir: t.TempDir(), Tree: tree, Threads: 3, Kills: 3, Seed: 3, Child: []string{program}}
}

// wantWrong checks that an error is a wrong answer that says want; nil for "".
func wantWrong(t *testing.T, err error, want string) {
	t.Helper()
	if want == "" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	if !isWrong(err) || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want a wrong answer: %q", err, want)
	}
}

func TestATreeIsStoredAndCompared(t *testing.T) {
	root := writeTree(t, 200)
	if err := os.Symlink("empty", filepath.Join(root, "link")); err != nil {
		t.Log("no symbolic links here:", err)
	}
	o := options(t, root)
	var told []result.Phase
	o.Phase = func(p result.Phase) { told = append(told, p) }
	phases, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(phases) != 4 || len(told) != 4 {
		t.Fatalf("%d phases, told of %d", len(phases), len(told))
	}
	for i, want := range []struct {
		workload             string
		operations, verified uint64
	}{{workloadPut, 202, 0}, {workloadOpen, 1, 0}, {workloadGet, 202, 202}, {workloadScan, 202, 202}} {
		p := &phases[i]
		if p.Workload != want.workload || p.Operations != want.operations || p.Verified != want.verified || p.Seconds <= 0 ||
			len(p.Kinds) != 1 || p.Kinds[0].Latency.Count() != want.operations {
			t.Errorf("phase %d: %+v, want %+v", i, p, want)
		}
	}
	if p := phases[0]; p.Bytes < o.Tree.Bytes() || p.UserBytes != p.Bytes || p.Costs.DiskBytes == 0 {
		t.Errorf("put: %d bytes of %d, on disk %d", p.Bytes, o.Tree.Bytes(), p.Costs.DiskBytes)
	}
	if notes := phases[3].Notes; len(notes) != 3 || !strings.Contains(notes[1], "all right") {
		t.Errorf("notes: %q", notes)
	}
	if odd := o.Tree.oddities(); len(odd) != 1 || !strings.HasPrefix(odd[0], "1 entry was skipped") {
		t.Errorf("oddities: %q", odd)
	}
}

func TestAnEmptyTreeIsRefused(t *testing.T) {
	for _, root := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if tree, err := Walk(t.Context(), root); err == nil {
			t.Errorf("%s: %d files", root, tree.Len())
		}
	}
}

func TestACancelledRunEnds(t *testing.T) {
	o := options(t, writeTree(t, 50))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	phases, err := Run(ctx, o)
	if !errors.Is(err, context.Canceled) || len(phases) != 1 || !phases[0].Partial || phases[0].Failed != "" {
		t.Errorf("%+v, %v", phases, err)
	}
	if phases, err = Kill(ctx, o); !errors.Is(err, context.Canceled) || len(phases) != 1 || !phases[0].Partial {
		t.Errorf("%+v, %v", phases, err)
	}
}

// newTestRun is a run with its store open and filled.
func newTestRun(t *testing.T, files int) *run {
	t.Helper()
	o := options(t, writeTree(t, files))
	f := &run{Options: o, storeDir: filepath.Join(o.Dir, "store")}
	if err := f.open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := f.put(t.Context(), &result.Phase{}); err != nil {
		t.Fatal(err)
	}
	return f
}

const someFile = "dir 3/sub/file-3 ö.txt"

func TestALyingStoreIsCaughtByTheFiles(t *testing.T) {
	for name, lie := range map[string]struct {
		change    func(f *run) error
		get, scan string // what is wrong
	}{
		"nothing":         {func(*run) error { return nil }, "", ""},
		"a file lost":     {func(f *run) error { return f.store.Delete([]byte(someFile)) }, "not found", "must come"},
		"a file too many": {func(f *run) error { return f.store.Put([]byte("dir 3/x"), nil) }, "", "must come"},
		"the last lost":   {func(f *run) error { return f.store.Delete([]byte(f.Tree.paths[f.Tree.Len()-1])) }, "not found", "ended before"},
		"one after all":   {func(f *run) error { return f.store.Put([]byte("zzz"), nil) }, "", "after the last"},
		"a byte changed": {func(f *run) error {
			contents, err := f.Tree.read(someFile)
			if err != nil {
				return err
			}
			contents = bytes.Clone(contents)
			contents[len(contents)/2] ^= 1
			return f.store.Put([]byte(someFile), contents)
		}, "differs", "differs"},
		"a tail lost": {func(f *run) error { return f.store.Put([]byte(someFile), []byte("x")) }, "the file has", "the file has"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newTestRun(t, 30)
			if err := lie.change(f); err != nil {
				t.Fatal(err)
			}
			wantWrong(t, f.compareByGets(t.Context(), &result.Phase{}), lie.get)
			wantWrong(t, f.compareByScan(t.Context(), &result.Phase{}), lie.scan)
		})
	}
}

func TestFilesThatChangeMeanwhileAreNotTheStoresFault(t *testing.T) {
	f := newTestRun(t, 30)
	writeFile(t, f.Tree.name(someFile), []byte("changed"))
	writeFile(t, f.Tree.name("new"), []byte("new"))
	if err := os.Remove(f.Tree.name("empty")); err != nil {
		t.Fatal(err)
	}
	wantWrong(t, f.compareByGets(t.Context(), &result.Phase{}), "")
	wantWrong(t, f.compareByScan(t.Context(), &result.Phase{}), "")
	if n := f.Tree.changed.Load(); n != 3 { // changed twice, removed once
		t.Errorf("%d comparisons with changed files, want 3", n)
	}
	if odd := f.Tree.oddities(); len(odd) != 1 || !strings.Contains(odd[0], "3 comparisons") {
		t.Errorf("not told: %q", odd)
	}
	// But a value that is neither what was stored nor what is there now is wrong.
	if err := f.store.Put([]byte("empty"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantWrong(t, f.compareByScan(t.Context(), &result.Phase{}), "cannot be read")
}
