package enginetest

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/engine"
)

func openDir(t *testing.T, dir string) engine.Store {
	t.Helper()
	store, err := Memory().Open(engine.Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestMemoryIsKeptByItsFolder(t *testing.T) {
	dir, other := t.TempDir(), t.TempDir()
	store := openDir(t, dir)
	if err := store.Put(nil, []byte("empty key")); err != nil {
		t.Fatal(err)
	}
	if _, err := Memory().Open(engine.Options{Dir: dir}); err == nil || !strings.Contains(err.Error(), "open already") {
		t.Errorf("a second store in the folder: %v", err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Get(nil, nil); !errors.Is(err, errClosed) {
		t.Errorf("a read after Close: %v", err)
	}
	if _, err := openDir(t, other).Get(nil, nil); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a read from another folder: %v", err)
	}
	store = openDir(t, dir)
	if got, err := store.Get(nil, nil); err != nil || string(got) != "empty key" {
		t.Errorf("after opening again: %q, %v", got, err)
	}
	c, err := store.NewCursor(engine.CursorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !c.First() || len(c.Key()) != 0 || c.Next() {
		t.Error("a cursor does not show the empty key once")
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, markName)); err != nil {
		t.Fatal(err)
	}
	if _, err := openDir(t, dir).Get(nil, nil); !errors.Is(err, engine.ErrNotFound) {
		t.Errorf("a read from an emptied folder: %v", err)
	}
}

func TestMemoryOfAnotherProcess(t *testing.T) {
	for _, mark := range []string{"1 1\n", "", "x y z", "99999999 77"} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, markName), []byte(mark), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Memory().Open(engine.Options{Dir: dir}); err == nil {
			t.Errorf("a folder with the mark %q was opened", mark)
		}
	}
	if _, err := Memory().Open(engine.Options{Dir: filepath.Join(t.TempDir(), "none")}); err == nil {
		t.Error("a store in a folder that is not there was opened")
	}
}
