package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/bench/workload"
)

// FileBytesMax is the largest file that is stored: every engine takes values of
// that length. Larger ones are skipped.
const FileBytesMax = 64 << 20

// Tree is a file tree on disk: what it held when it was walked, and the hash of
// each file's contents when they were stored. Safe for concurrent use: of the
// fields only the atomics change.
type Tree struct {
	root  string
	paths []string // relative to root, with slashes, ascending bytewise
	files map[string]*atomic.Uint64
	bytes uint64 // when walked
	seed  maphash.Seed

	skipped uint64        // neither folders nor regular files that can be stored
	changed atomic.Uint64 // comparisons with files that have changed since
}

// GoSource is the source tree of the Go installation.
func GoSource(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("asking go env GOROOT for a file tree (name another folder): %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "src"), nil
}

// Walk lists the tree below a folder. It fails if there is no file in it.
func Walk(ctx context.Context, root string) (*Tree, error) {
	found, err := list(ctx, root)
	if err != nil {
		return nil, err
	}
	t := &Tree{root: root, seed: maphash.MakeSeed(), files: make(map[string]*atomic.Uint64, len(found.paths)),
		paths: found.paths, bytes: found.bytes, skipped: found.skipped}
	for _, path := range t.paths {
		t.files[path] = new(atomic.Uint64)
	}
	if len(t.paths) == 0 {
		return nil, fmt.Errorf("%s holds no files", root)
	}
	return t, nil
}

// Root is the folder that was walked.
func (t *Tree) Root() string { return t.root }

// Len is the number of files.
func (t *Tree) Len() int { return len(t.paths) }

// Bytes is the length of all files together, when they were walked.
func (t *Tree) Bytes() uint64 { return t.bytes }

// oddities tells, a line each, what was not compared, or not with the file of
// now; none if all was.
func (t *Tree) oddities() []string {
	var lines []string
	if t.skipped > 0 {
		entries := "1 entry was"
		if t.skipped > 1 {
			entries = fmt.Sprintf("%d entries were", t.skipped)
		}
		lines = append(lines, fmt.Sprintf("%s skipped: links, devices, files over %d MiB", entries, FileBytesMax>>20))
	}
	if n := t.changed.Load(); n > 0 {
		lines = append(lines, fmt.Sprintf("%d comparisons met files that were changed or removed since they were stored: "+
			"their values were checked against the hash of what was stored", n))
	}
	return lines
}

// listing is what one walk finds.
type listing struct {
	paths   []string
	bytes   uint64
	skipped uint64
}

func list(ctx context.Context, root string) (listing, error) {
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
		if err != nil || !info.Mode().IsRegular() || info.Size() > FileBytesMax {
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

func (t *Tree) name(path string) string { return filepath.Join(t.root, filepath.FromSlash(path)) }

func (t *Tree) hash(contents []byte) uint64 { return maphash.Bytes(t.seed, contents) }

// read returns the contents of a file and notes their hash.
func (t *Tree) read(path string) ([]byte, error) {
	contents, err := os.ReadFile(t.name(path))
	if err != nil {
		return nil, err
	}
	t.files[path].Store(t.hash(contents))
	return contents, nil
}

// known is the paths of a later walk that were there at the first.
func (t *Tree) known(again listing) []string {
	return slices.DeleteFunc(again.paths, func(path string) bool { return t.files[path] == nil })
}

// compare checks a value that the store gave for a stored path. A file that was
// changed after it was stored may differ, but not the value from what was
// stored.
func (t *Tree) compare(path string, value []byte) error {
	file, known := t.files[path]
	if !known {
		return wrong(path, "no such file was ever stored")
	}
	contents, err := os.ReadFile(t.name(path))
	if err == nil && bytes.Equal(contents, value) {
		return nil
	}
	if t.hash(value) == file.Load() {
		t.changed.Add(1)
		return nil
	}
	if err != nil {
		return wrong(path, "differs from the file that was stored, which cannot be read any more: "+err.Error())
	}
	return wrong(path, difference(value, contents))
}

// difference tells where two byte strings part.
func difference(got, want []byte) string {
	if len(got) != len(want) {
		return fmt.Sprintf("%d bytes, the file has %d", len(got), len(want))
	}
	at := 0
	for at < len(got) && got[at] == want[at] {
		at++
	}
	return fmt.Sprintf("differs from the file at byte %d of %d", at, len(got))
}

func wrong(path, problem string) error { return &workload.WrongAnswer{Key: path, Problem: problem} }
