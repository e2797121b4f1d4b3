package vlog

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// Inspect sums up the records of file num, up to the first byte that is not part
// of a valid one; Info.Size says where that is. Info is filled in also when
// the error is the *base.CorruptionError that ended it. Nothing is changed.
// Of a rewritten file it sums up all sections together.
func Inspect(fsys vfs.FS, dir string, num base.FileNum, expect uint64) (Info, error) {
	var t tally
	end, err := ScanFile(fsys, dir, num, expect, 0, 0, func(r Record) error {
		t.add(int64(r.Pointer.Size), r.Expiry)
		return nil
	})
	return t.info(end), err
}

// Recover seals a file that was active when its process or machine died: it cuts
// a torn tail off, makes the rest durable and says what the file holds.
// Everything before proven is known to have been durable: if a record there is
// damaged, that is no torn tail, and Recover returns the *base.CorruptionError
// and changes nothing. It may be repeated at any time.
func Recover(fsys vfs.FS, dir string, num base.FileNum, expect uint64, proven int64) (Info, error) {
	info, err := Inspect(fsys, dir, num, expect)
	var torn *base.CorruptionError
	if errors.As(err, &torn) && info.Size >= max(proven, fileHeaderLen) {
		err = nil
	}
	if err != nil {
		return info, err
	}
	if info.Size < proven {
		return info, base.Corruptf(fileName(num), info.Size, "file ends here, but was durable up to %d", proven)
	}
	f, err := fsys.OpenReadWrite(filepath.Join(dir, fileName(num)))
	if err != nil {
		return info, fmt.Errorf("vlog: recover %s: %w", fileName(num), err)
	}
	if torn != nil {
		err = f.Truncate(info.Size)
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return info, fmt.Errorf("vlog: recover %s: %w", fileName(num), err)
	}
	return info, nil
}
