package wal

import (
	"errors"
	"fmt"
	iofs "io/fs"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// List returns the numbers of the segments in dir, ascending.
func List(fs vfs.FS, dir string) ([]base.SegmentNum, error) {
	infos, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("wal: list %s: %w", dir, err)
	}
	var nums []base.SegmentNum
	for _, info := range infos {
		if kind, num := base.ParseFileName(info.Name); kind == base.FileWAL && !info.IsDir {
			nums = append(nums, base.SegmentNum(num))
		}
	}
	slices.Sort(nums) // names of more than six digits do not sort by number
	return nums, nil
}

// Remove removes the segments below before, oldest first, and returns how many
// it removed. Their records must be durable elsewhere, and Replay is to be
// called with before or more from then on. A caller that wants to spread the
// work removes up to one number after the other. A segment that comes back
// after a crash, since the directory is not synced, does no harm.
func Remove(fs vfs.FS, dir string, before base.SegmentNum) (removed int, err error) {
	nums, err := List(fs, dir)
	if err != nil {
		return 0, err
	}
	for _, num := range nums {
		if num >= before {
			break
		}
		if err := removeFile(fs, dir, num); err != nil {
			return removed, err
		}
		removed++
	}
	return removed, nil
}

// removeFile removes a segment. That it is gone already is no error.
func removeFile(fs vfs.FS, dir string, num base.SegmentNum) error {
	if err := fs.Remove(filePath(dir, num)); err != nil && !errors.Is(err, iofs.ErrNotExist) {
		return fmt.Errorf("wal: remove %s: %w", fileName(num), err)
	}
	return nil
}

// syncDir makes the names in dir durable.
func syncDir(fs vfs.FS, dir string) error {
	if err := fs.SyncDir(dir); err != nil {
		return fmt.Errorf("wal: sync %s: %w", dir, err)
	}
	return nil
}
