package damage

import (
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/cordwood-db/cordwood/vfs"
)

// Case is one way to damage a store.
type Case struct {
	Name   string
	Damage string // one of Damages
	Target *File  // what is damaged, or stands in for the kind of what is added
	Part   string // of a table or value-log file, where one byte is damaged

	Files      map[string][]byte // new contents by base name; nil: the file is gone
	Dir        string            // a directory of this name, maybe in place of the file
	Unreadable string            // a file that cannot be opened
}

// system reports whether the file system itself fails in this case.
func (c *Case) system() bool { return c.Unreadable != "" || c.Dir != "" }

// apply damages fsys.
func (c *Case) apply(fsys *vfs.Mem) error {
	for name, data := range c.Files {
		err := error(nil)
		if data != nil {
			err = writeFile(fsys, name, data)
		} else {
			err = fsys.Remove(filepath.Join(dir, name))
		}
		if err != nil {
			return err
		}
	}
	if c.Dir != "" {
		path := filepath.Join(dir, c.Dir)
		if err := fsys.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return fsys.MkdirAll(path)
	}
	return nil
}

// undo takes the damage of a case that changes only contents back.
func (c *Case) undo(s *Store, fsys *vfs.Mem) error {
	for name := range c.Files {
		if err := writeFile(fsys, name, s.byName[name].Data); err != nil {
			return err
		}
	}
	return nil
}

// rewritesOnly reports whether the case changes contents of files of s, and
// nothing else.
func (c *Case) rewritesOnly(s *Store) bool {
	for name, data := range c.Files {
		if data == nil || s.byName[name] == nil {
			return false
		}
	}
	return !c.system()
}

// readHook makes a file unreadable, and reports writes to a store that is open
// for reading only.
func (c *Case) readHook(readOnly bool, wrote func(vfs.Op)) func(vfs.Op) error {
	return func(op vfs.Op) error {
		if readOnly && op.Kind.Mutates() && op.Kind != vfs.OpLock {
			wrote(op)
		}
		opens := op.Kind == vfs.OpOpen || op.Kind == vfs.OpOpenRW || op.Kind == vfs.OpLock
		if opens && c.Unreadable != "" && filepath.Base(op.Path) == c.Unreadable {
			return fs.ErrPermission
		}
		return nil
	}
}
