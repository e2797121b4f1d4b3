package wal

import (
	"cmp"
	"errors"
	"fmt"
	iofs "io/fs"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// List returns the numbers of the segments in dir, ascending.
func List(fs vfs.FS, dir string) ([]base.SegmentNum, error) {
	sizes, err := Sizes(fs, dir)
	if err != nil {
		return nil, err
	}
	nums := make([]base.SegmentNum, 0, len(sizes))
	for _, s := range sizes {
		nums = append(nums, s.Num)
	}
	return nums, nil
}

// SegmentSize is a segment and what it takes on disk.
type SegmentSize struct {
	Num   base.SegmentNum
	Bytes int64 // of the file, with what is preallocated
}

// Sizes returns the segments in dir and their sizes, by ascending number: to
// keep as many as fit into some number of bytes.
func Sizes(fs vfs.FS, dir string) ([]SegmentSize, error) {
	infos, err := fs.List(dir)
	if err != nil {
		return nil, fmt.Errorf("wal: list %s: %w", dir, err)
	}
	var sizes []SegmentSize
	for _, info := range infos {
		if kind, num := base.ParseFileName(info.Name); kind == base.FileWAL && !info.IsDir {
			sizes = append(sizes, SegmentSize{Num: base.SegmentNum(num), Bytes: info.Size})
		}
	}
	// Names of more than six digits do not sort by number.
	slices.SortFunc(sizes, func(a, b SegmentSize) int { return cmp.Compare(a.Num, b.Num) })
	return sizes, nil
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
