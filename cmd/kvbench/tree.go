package main

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/db"
)

// tree is a file tree on disk: what it held when it was walked, and the hash of
// each file's contents when they were stored. Safe for concurrent use: of the
// fields only the atomics change.
type tree struct {
	root  string
	paths []string // relative to root, with slashes, ascending bytewise
	files map[string]*atomic.Uint64
	bytes uint64 // when walked
	seed  maphash.Seed

	skipped uint64        // neither regular files nor folders
	changed atomic.Uint64 // comparisons with files that have changed since
}

// goSource is the source tree of the Go installation.
func goSource(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("asking go env GOROOT for a file tree (name another folder: kvbench files DIR): %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "src"), nil
}

// walkTree lists a tree that can be stored.
func walkTree(ctx context.Context, root string) (*tree, error) {
	found, err := listTree(ctx, root)
	if err != nil {
		return nil, err
	}
	t := &tree{root: root, seed: maphash.MakeSeed(), files: make(map[string]*atomic.Uint64, len(found.paths)),
		paths: found.paths, bytes: found.bytes, skipped: found.skipped}
	for _, path := range t.paths {
		t.files[path] = new(atomic.Uint64)
	}
	if len(t.paths) == 0 {
		return nil, fmt.Errorf("%s holds no files", root)
	}
	return t, nil
}

// listing is what one walk finds.
type listing struct {
	paths   []string
	bytes   uint64
	skipped uint64
}

func listTree(ctx context.Context, root string) (listing, error) {
	var l listing
	// The slash makes a root that is a symbolic link be followed.
	err := filepath.WalkDir(root+string(filepath.Separator), func(name string, entry fs.DirEntry, err error) error {
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if entry.IsDir() {
			return nil
		}
		info, err := entry.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > db.MaxValueBytes {
			l.skipped++
			return nil
		}
		path, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		l.paths = append(l.paths, filepath.ToSlash(path))
		l.bytes += uint64(info.Size())
		return nil
	})
	slices.Sort(l.paths)
	return l, err
}

func (t *tree) len() int { return len(t.paths) }

func (t *tree) name(path string) string { return filepath.Join(t.root, filepath.FromSlash(path)) }

func (t *tree) hash(contents []byte) uint64 { return maphash.Bytes(t.seed, contents) }

// read returns the contents of a file and notes their hash.
func (t *tree) read(path string) ([]byte, error) {
	contents, err := os.ReadFile(t.name(path))
	if err != nil {
		return nil, err
	}
	t.files[path].Store(t.hash(contents))
	return contents, nil
}

// known is the paths of a later walk that were there at the first.
func (t *tree) known(again listing) []string {
	return slices.DeleteFunc(again.paths, func(path string) bool { return t.files[path] == nil })
}

// printOddities tells what was not compared, or not with the file of now.
func (t *tree) printOddities(out io.Writer) {
	if t.skipped > 0 {
		fmt.Fprintf(out, "%s entries were skipped: links, devices and the like.\n", count(t.skipped))
	}
	if n := t.changed.Load(); n > 0 {
		fmt.Fprintf(out, "%s comparisons met files that were changed or removed since they were stored:\n"+
			"their values were checked against the hash of what was stored.\n", count(n))
	}
}
