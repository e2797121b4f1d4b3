package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// newKillRun is a run whose store was filled by a child's code, in this
// process, and closed. All files count as acknowledged.
func newKillRun(t *testing.T) *killRun {
	t.Helper()
	f := newTestRun(t, 30)
	f.storeDir = filepath.Join(f.dir, "killed")
	f.config.kills = 3
	k := &killRun{fileRun: f, random: rand.New(rand.NewPCG(1, 1)), opens: newHistogram(), acknowledged: make([]bool, f.tree.len())}
	var requests strings.Builder
	for i, path := range f.tree.paths {
		fmt.Fprintf(&requests, "%d %q\n", i, path)
		k.acknowledged[i] = true
	}
	var answers bytes.Buffer
	if err := runChild([]string{k.storeDir, f.tree.root}, strings.NewReader(requests.String()), &answers); err != nil {
		t.Fatal(err)
	}
	if got := strings.Fields(answers.String()); len(got) != 1+f.tree.len() || got[0] != childOpen {
		t.Fatalf("the child said %q", got)
	}
	k.counts.Acknowledged = uint64(f.tree.len())
	return k
}

func TestLossesAfterAKillAreCaught(t *testing.T) {
	const victim = "dir 3/sub/file-3 ö.txt"
	for name, lie := range map[string]struct {
		change func(store *db.DB) error
		want   string
	}{
		"nothing":             {func(*db.DB) error { return nil }, ""},
		"a file lost":         {func(store *db.DB) error { return store.Delete([]byte(victim)) }, "not found"},
		"a torn file":         {func(store *db.DB) error { return store.Put([]byte(victim), []byte("x")) }, "the file has"},
		"a file from nowhere": {func(store *db.DB) error { return store.Put([]byte("dir 3/x"), nil) }, "ever stored"},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKillRun(t)
			open := k.store
			defer func() { k.store = open }() // for its cleanup
			store, err := db.Open(k.storeDir, killOptions(db.NoSync))
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(lie.change(store), store.Close()); err != nil {
				t.Fatal(err)
			}
			for _, last := range []bool{false, true} {
				wantWrong(t, k.check(context.Background(), last), lie.want)
			}
			// The scan alone sees it too.
			if k.store, err = db.Open(k.storeDir, killOptions(db.NoSync)); err != nil {
				t.Fatal(err)
			}
			want := lie.want
			if want == "not found" {
				want = "not in the scan"
			}
			wantWrong(t, k.scan(context.Background()), want)
			if err := k.store.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestUnacknowledgedFilesMayBeThereOrNot(t *testing.T) {
	k := newKillRun(t)
	open := k.store
	defer func() { k.store = open }()
	k.acknowledged[3] = false // there
	store, err := db.Open(k.storeDir, killOptions(db.NoSync))
	if err != nil {
		t.Fatal(err)
	}
	k.acknowledged[k.tree.len()-1] = false // not there
	if err := errors.Join(store.Delete([]byte(k.tree.paths[k.tree.len()-1])), store.Close()); err != nil {
		t.Fatal(err)
	}
	wantWrong(t, k.check(context.Background(), false), "")
	if k.counts.Unannounced != 1 {
		t.Errorf("%d unacknowledged files found, want 1", k.counts.Unannounced)
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
		for range k.tree.len() {
			if i, ok := next(); ok == last || !last && seen[i] && !missing[i] {
				t.Fatalf("last %v: then %d, %v", last, i, ok)
			} else if ok {
				seen[i] = true
			}
		}
		if !last && len(seen) != k.tree.len() {
			t.Fatalf("only %d files in a pass", len(seen))
		}
	}
}

func TestAChildReportsWhatItCannotDo(t *testing.T) {
	root := writeTree(t, 3)
	for name, c := range map[string]struct{ requests, want string }{
		"no such file": {"0 \"missing\"\n1 \"empty\"\n", "missing"},
		"bad quoting":  {"0 missing\n", "request"},
		"empty line":   {"\n", "request"},
	} {
		var out bytes.Buffer
		err := runChild([]string{"-threads", "1", "-sync", filepath.Join(t.TempDir(), "store"), root}, strings.NewReader(c.requests), &out)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := runChild([]string{filepath.Join(root, "empty"), root}, strings.NewReader(""), &bytes.Buffer{}); err == nil {
		t.Error("a file was opened as a store")
	}
	c := &child{store: &liar{put: func(*db.DB, []byte, []byte) error { return errors.New("broken") }}, root: root, out: &bytes.Buffer{}}
	if err := c.storeFile(`0 "empty"`); err == nil || !strings.Contains(err.Error(), "broken") {
		t.Errorf("got %v", err)
	}
}

func TestAChildThatFailsEndsTheRun(t *testing.T) {
	t.Setenv(asProgram, "1")
	k := newKillRun(t)
	k.storeDir = filepath.Join(k.tree.root, "empty") // a file: it cannot be opened
	err := k.round(context.Background(), true)
	if err == nil || !strings.Contains(err.Error(), "the child failed") || !strings.Contains(err.Error(), "opening the store") {
		t.Fatalf("got %v", err)
	}
}
