package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// syncData is fdatasync: it writes the size and the block map too where they
// are needed to read the data, and leaves out only the times.
func syncData(fd uintptr) error {
	return retryEINTR(func() error { return unix.Fdatasync(int(fd)) })
}

func startWriteback(fd uintptr, off, n int64) error {
	err := retryEINTR(func() error {
		return unix.SyncFileRange(int(fd), off, n, unix.SYNC_FILE_RANGE_WRITE)
	})
	if unsupported(err) || errors.Is(err, unix.ESPIPE) {
		return nil
	}
	return err
}

func preallocate(fd uintptr, off, n int64) error {
	err := retryEINTR(func() error { return unix.Fallocate(int(fd), 0, off, n) })
	if unsupported(err) {
		return nil
	}
	return err
}

func unsupported(err error) bool {
	return errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS)
}
