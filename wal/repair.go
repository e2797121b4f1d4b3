package wal

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
	"github.com/cordwood-db/cordwood/vfs"
)

// Repair makes a cut that Replay reported permanent: it truncates the segment
// that was cut, syncs it, and removes the lost segments, newest first. It may
// be repeated, and a crash at any point leaves a log whose replay gives the
// same records:
//
//   - The truncation is synced before anything is removed. Removing first could
//     leave a segment sealed towards one that is gone: a missing file.
//   - Lost segments go from the newest to the oldest, each durably before the
//     next, so that no gap is ever seen. The directory is synced before the
//     first one too: a killed process may have removed a newer one without
//     living to sync that. Segments still there are lost as before, since the
//     seal that would lead to them is gone.
//
// After an error the directory is in one of these states; Replay again.
func Repair(fs vfs.FS, dir string, cut Cut) error {
	lost := slices.Sorted(slices.Values(cut.LostSegments))
	if !slices.Contains(lost, cut.Segment) {
		if err := truncate(fs, dir, cut); err != nil {
			return err
		}
	}
	for _, num := range slices.Backward(lost) {
		if num < cut.Segment {
			return fmt.Errorf("wal: repair: lost segment %d is before the cut in %d", num, cut.Segment)
		}
		if err := syncDir(fs, dir); err != nil {
			return err
		}
		if err := removeFile(fs, dir, num); err != nil {
			return err
		}
	}
	if len(lost) == 0 {
		return nil
	}
	return syncDir(fs, dir)
}

// truncate ends the segment at the cut, durably.
func truncate(fs vfs.FS, dir string, cut Cut) (err error) {
	name := fileName(cut.Segment)
	f, err := fs.OpenReadWrite(filePath(dir, cut.Segment))
	if err != nil {
		return fmt.Errorf("wal: repair %s: %w", name, err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return fmt.Errorf("wal: repair %s: %w", name, err)
	}
	if cut.Offset < record.HeaderLen || cut.Offset > size {
		return base.Corruptf(name, cut.Offset, "cannot cut a segment of %d bytes here", size)
	}
	if cut.Offset < size {
		if err := f.Truncate(cut.Offset); err != nil {
			return fmt.Errorf("wal: truncate %s: %w", name, err)
		}
	}
	// Also if there was nothing to truncate: an earlier attempt may have died
	// before its sync.
	if err := f.Sync(); err != nil {
		return fmt.Errorf("wal: sync %s: %w", name, err)
	}
	return nil
}
