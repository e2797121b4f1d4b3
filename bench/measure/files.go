package measure

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// eachFile calls do for every regular file below dir; symbolic links are not
// followed. What vanishes meanwhile, as files of a working engine do, is skipped:
// do may say so by returning fs.ErrNotExist. Any other error ends it.
func eachFile(dir string, do func(path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() {
			err = one(path, entry, do)
		}
		if path != dir && errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	})
}

func one(path string, entry fs.DirEntry, do func(string, fs.FileInfo) error) error {
	info, err := entry.Info()
	if err != nil {
		return err
	}
	return do(path, info)
}

// DiskBytes is what the files below dir take up on disk: the blocks that are
// allocated to them, so that what was reserved counts and holes don't; a file with
// several names counts once. Where the operating system does not tell (other than
// Unix), it is their length. The engine may go on working: files that vanish
// meanwhile are skipped. It fails if dir or anything below it cannot be read.
func DiskBytes(dir string) (int64, error) {
	var total int64
	seen := map[fileID]bool{}
	err := eachFile(dir, func(_ string, info fs.FileInfo) error {
		bytes, id, several := allocated(info)
		if several && seen[id] {
			return nil
		}
		if several {
			seen[id] = true
		}
		total += bytes
		return nil
	})
	if err != nil {
		return 0, err // names the path
	}
	return total, nil
}

// fileID tells files apart.
type fileID struct{ device, inode uint64 }
