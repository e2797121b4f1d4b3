package vfs

import (
	"errors"

	"golang.org/x/sys/unix"
)

// syncData asks the drive to empty its cache, which fsync on darwin does not.
// File systems that cannot (some network mounts) get a plain fsync.
func syncData(fd uintptr) error {
	err := retryEINTR(func() error {
		_, err := unix.FcntlInt(fd, unix.F_FULLFSYNC, 0)
		return err
	})
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, unix.EINVAL) {
		return retryEINTR(func() error { return unix.Fsync(int(fd)) })
	}
	return err
}

func startWriteback(uintptr, int64, int64) error { return nil }

// preallocate does nothing: F_PREALLOCATE reserves blocks but does not extend
// the file, and the extending ftruncate zeroes on HFS+.
func preallocate(uintptr, int64, int64) error { return nil }
