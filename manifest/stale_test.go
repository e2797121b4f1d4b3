package manifest

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// A MANIFEST of another store, or of another time, has a number like the one
// that CURRENT names, and every checksum right.
func TestTheManifestOfAnotherStoreIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	name := base.FileName(base.FileManifest, uint64(firstManifest))
	for i, dir := range []string{"/one", "/other"} {
		if err := fs.MkdirAll(dir); err != nil {
			t.Fatal(err)
		}
		s, err := Create(Options{FS: fs, Dir: dir, NewID: newIDs(uint64(i + 1))})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := fs.Rename(filepath.Join("/other", name), filepath.Join("/one", name)); err != nil {
		t.Fatal(err)
	}
	_, _, err := Load(Options{FS: fs, Dir: "/one", NewID: newIDs(3)})
	var corrupt *base.CorruptionError
	if !errors.As(err, &corrupt) || corrupt.File != name {
		t.Errorf("loaded: %v", err)
	}
}
