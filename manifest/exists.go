package manifest

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// firstManifest is the number of the MANIFEST of a new database in an empty
// directory.
const firstManifest base.FileNum = 1

// Exists reports whether dir holds a database: whether there is a CURRENT, be
// it readable or not. A directory that is not there holds none.
//
// Tables, value-log files, WAL segments or MANIFESTs without CURRENT are a
// *base.MissingFileError: nothing new may be started beside them. The one
// exception is what a crash in [Create] leaves, a first MANIFEST that names no
// files: that is no database.
func Exists(fs vfs.FS, dir string) (bool, error) {
	infos, err := fs.List(dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("manifest: list %s: %w", dir, err)
	}
	ours, first := false, false
	for _, info := range infos {
		if info.IsDir {
			continue
		}
		switch kind, num := base.ParseFileName(info.Name); kind {
		case base.FileCurrent:
			return true, nil
		case base.FileManifest:
			if base.FileNum(num) == firstManifest {
				first = true
			} else {
				ours = true
			}
		case base.FileTable, base.FileWAL, base.FileVlog:
			ours = true
		}
	}
	if first && !ours {
		if ours, err = namesFiles(fs, dir, firstManifest); err != nil {
			return false, err
		}
	}
	if ours {
		return false, &base.MissingFileError{File: base.CurrentName}
	}
	return false, nil
}

// namesFiles reports whether any readable edit of a MANIFEST adds a file. A
// damaged MANIFEST says as much as can be read of it.
func namesFiles(fs vfs.FS, dir string, num base.FileNum) (names bool, err error) {
	name := base.FileName(base.FileManifest, uint64(num))
	f, err := fs.Open(filepath.Join(dir, name))
	if err != nil {
		return false, fmt.Errorf("manifest: open %s: %w", name, err)
	}
	_, _, err = record.Scan(f, name, base.FileManifest, func(r record.Record) error {
		if r.Type != recordSnapshot && r.Type != recordEdit {
			return nil
		}
		e, err := DecodeEdit(r.Payload)
		names = names || err != nil || len(e.Added)+len(e.VlogAdded) > 0
		return nil
	})
	if _, ok := errors.AsType[*base.CorruptionError](err); ok {
		err = nil
	}
	return names, errors.Join(err, f.Close())
}
