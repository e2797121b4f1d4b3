package db

import (
	"errors"
	"io/fs"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

func TestMustExistLeavesAnEmptyDirectoryEmpty(t *testing.T) {
	mem := vfs.NewMem()
	opts := &Options{FS: mem, MustExist: true}
	if _, err := Open("/db", opts); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("no directory: %v", err)
	}
	if err := mem.MkdirAll("/db"); err != nil {
		t.Fatal(err)
	}
	if _, err := Open("/db", opts); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("empty directory: %v", err)
	}
	files, err := mem.List("/db")
	if err != nil || len(files) != 0 {
		t.Fatalf("%v is there, %v", files, err)
	}
	closeDB(t, openMem(t, mem, Options{}))
	store := openMem(t, mem, Options{MustExist: true})
	closeDB(t, store)
}
