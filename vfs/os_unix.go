//go:build linux || darwin

package vfs

import (
	"errors"
	iofs "io/fs"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

var noSpaceErrors = [...]error{unix.ENOSPC, unix.EDQUOT}

func openFile(path string, flag int, mode os.FileMode) (*os.File, error) {
	return os.OpenFile(path, flag, mode)
}

func isReadOnly(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, iofs.ErrPermission)
}

// retryEINTR repeats a call that a signal cut short.
func retryEINTR(call func() error) error {
	for {
		if err := call(); err != unix.EINTR {
			return err
		}
	}
}

// lockHandle takes a flock. It belongs to the open file, not to the process
// like a POSIX lock, so a second handle of this process fails too, and closing
// an unrelated handle of the file does not give it up.
func lockHandle(f *os.File, exclusive bool) error {
	how := unix.LOCK_SH
	if exclusive {
		how = unix.LOCK_EX
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) {
		lockErr = retryEINTR(func() error { return unix.Flock(int(fd), how|unix.LOCK_NB) })
	})
	if err == nil {
		err = lockErr
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		return ErrLocked
	}
	return err
}

// unlockHandle gives a flock up for every descriptor of the open file.
func unlockHandle(f *os.File) error {
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var unlockErr error
	err = conn.Control(func(fd uintptr) {
		unlockErr = retryEINTR(func() error { return unix.Flock(int(fd), unix.LOCK_UN) })
	})
	return errors.Join(err, unlockErr)
}

func syncDir(dir string) error {
	d, err := os.OpenFile(dir, os.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	// os.File.Sync is fsync, on darwin F_FULLFSYNC.
	return errors.Join(d.Sync(), d.Close())
}

func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := retryEINTR(func() error { return unix.Statfs(dir, &st) }); err != nil {
		return 0, err
	}
	// The types differ between platforms. Bsize is the unit of Bavail.
	blocks, unit := uint64(st.Bavail), uint64(st.Bsize)
	if unit != 0 && blocks > math.MaxUint64/unit {
		return math.MaxUint64, nil
	}
	return blocks * unit, nil
}
