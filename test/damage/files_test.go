package damage

import (
	"bytes"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/cordwood-db/cordwood/vfs"
)

// list is the names of the files of a directory.
func list(fsys vfs.FS, dir string) ([]string, error) {
	infos, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range infos {
		if !f.IsDir {
			names = append(names, f.Name)
		}
	}
	return names, nil
}

// readFile is the contents of a file of a store.
func readFile(fsys vfs.FS, name string) ([]byte, error) {
	return vfs.ReadFile(fsys, filepath.Join(dir, name), 1<<24)
}

// contents are the files of a directory by name.
func contents(fsys vfs.FS, dir string) (map[string][]byte, error) {
	names, err := list(fsys, dir)
	if err != nil {
		return nil, err
	}
	files := make(map[string][]byte)
	for _, name := range names {
		if files[name], err = vfs.ReadFile(fsys, filepath.Join(dir, name), 1<<24); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// newFS is a file system with a store of these files.
func newFS(files map[string][]byte) (*vfs.Mem, error) {
	fsys := vfs.NewMem()
	errs := []error{fsys.MkdirAll(dir)}
	for name, data := range files {
		errs = append(errs, writeFile(fsys, name, data))
	}
	return fsys, errors.Join(append(errs, fsys.SyncDir(dir), fsys.SyncDir(filepath.Dir(dir)))...)
}

// writeFile replaces or makes a file of a store.
func writeFile(fsys vfs.FS, name string, data []byte) error {
	path := filepath.Join(dir, name)
	f, err := fsys.Create(path)
	if errors.Is(err, fs.ErrExist) {
		f, err = fsys.OpenReadWrite(path)
	}
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if _, werr := f.WriteAt(bytes.Clone(data), 0); err == nil {
		err = werr
	}
	return errors.Join(err, f.Sync(), f.Close())
}
