package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// writeTree makes a tree of files from empty to larger than a value log's
// threshold, with odd names.
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

func TestATreeIsStoredAndCompared(t *testing.T) {
	root := writeTree(t, 200)
	if err := os.Symlink("empty", filepath.Join(root, "link")); err != nil {
		t.Log("no symbolic links here:", err)
	}
	jsonPath := filepath.Join(t.TempDir(), "results.json")
	status, out, errs := kvbench(t, "files", "-threads", "3", "-json", jsonPath, root)
	if status != 0 || !strings.Contains(out, "202 files") || !strings.Contains(out, "all right") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	results := readResults(t, jsonPath)
	if len(results) != 3 {
		t.Fatalf("%d results", len(results))
	}
	for _, r := range results {
		if r["operations"].(float64) != 202 {
			t.Errorf("%v: %v operations", r["phase"], r["operations"])
		}
	}
}

func TestATreeIsStoredWhileBeingKilled(t *testing.T) {
	root := writeTree(t, 300)
	jsonPath := filepath.Join(t.TempDir(), "results.json")
	status, out, errs := kvbench(t, "files", "-kill", "-kills", "3", "-seed", "3", "-json", jsonPath, root)
	if status != 0 || !strings.Contains(out, "3 times with SIGKILL") {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	kills := readResults(t, jsonPath)[0]["kills"].(map[string]any)
	if kills["checks"].(float64) != 4 || kills["acknowledged_puts"].(float64) < 302 {
		t.Errorf("%v", kills)
	}
}

// newTestRun is a run of the files command with its store open and filled.
func newTestRun(t *testing.T, files int) *fileRun {
	t.Helper()
	ctx := context.Background()
	found, err := walkTree(ctx, writeTree(t, files))
	if err != nil {
		t.Fatal(err)
	}
	c := &config{threads: 2}
	s := &session{config: c, dir: t.TempDir(), out: io.Discard, bar: newProgress(io.Discard, true)}
	f := &fileRun{session: s, tree: found, storeDir: filepath.Join(s.dir, "store")}
	if f.store, err = db.Open(f.storeDir, c.options()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.store.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := f.put(ctx); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestALyingStoreIsCaughtByTheFiles(t *testing.T) {
	const victim = "dir 3/sub/file-3 ö.txt"
	for name, lie := range map[string]struct {
		change    func(f *fileRun) error
		get, scan string // what is wrong
	}{
		"nothing":         {func(*fileRun) error { return nil }, "", ""},
		"a file lost":     {func(f *fileRun) error { return f.store.Delete([]byte(victim)) }, "not found", "must come"},
		"a file too many": {func(f *fileRun) error { return f.store.Put([]byte("dir 3/x"), nil) }, "", "must come"},
		"the last lost":   {func(f *fileRun) error { return f.store.Delete([]byte(f.tree.paths[f.tree.len()-1])) }, "not found", "ended before"},
		"one after all":   {func(f *fileRun) error { return f.store.Put([]byte("zzz"), nil) }, "", "after the last"},
		"a byte changed": {func(f *fileRun) error {
			contents, err := f.tree.read(victim)
			if err != nil {
				return err
			}
			contents = bytes.Clone(contents)
			contents[len(contents)/2] ^= 1
			return f.store.Put([]byte(victim), contents)
		}, "differs", "differs"},
		"a tail lost": {func(f *fileRun) error { return f.store.Put([]byte(victim), []byte("x")) }, "the file has", "the file has"},
	} {
		t.Run(name, func(t *testing.T) {
			f, ctx := newTestRun(t, 30), context.Background()
			if err := lie.change(f); err != nil {
				t.Fatal(err)
			}
			_, err := f.compareByGets(ctx)
			wantWrong(t, err, lie.get)
			_, err = f.compareByScan(ctx)
			wantWrong(t, err, lie.scan)
		})
	}
}

func TestFilesThatChangeMeanwhileAreNotTheStoresFault(t *testing.T) {
	f, ctx := newTestRun(t, 30), context.Background()
	writeFile(t, f.tree.name("dir 3/sub/file-3 ö.txt"), []byte("changed"))
	writeFile(t, f.tree.name("new"), []byte("new"))
	if err := os.Remove(f.tree.name("empty")); err != nil {
		t.Fatal(err)
	}
	_, err := f.compareByGets(ctx)
	wantWrong(t, err, "")
	_, err = f.compareByScan(ctx)
	wantWrong(t, err, "")
	if n := f.tree.changed.Load(); n != 3 { // changed twice, removed once
		t.Errorf("%d comparisons with changed files, want 3", n)
	}
	var out bytes.Buffer
	f.tree.printOddities(&out)
	if !strings.Contains(out.String(), "3 comparisons") {
		t.Errorf("not told: %q", out.String())
	}
	// But a value that is neither what was stored nor what is there now is wrong.
	if err := f.store.Put([]byte("empty"), []byte("x")); err != nil {
		t.Fatal(err)
	}
	_, err = f.compareByScan(ctx)
	wantWrong(t, err, "cannot be read")
}
