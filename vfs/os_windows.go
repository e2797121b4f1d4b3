package vfs

import (
	"errors"
	iofs "io/fs"
	"os"

	"golang.org/x/sys/windows"
)

var noSpaceErrors = [...]error{
	errNoSpace,
	windows.ERROR_DISK_FULL,
	windows.ERROR_HANDLE_DISK_FULL,
	windows.ERROR_DISK_QUOTA_EXCEEDED,
}

// openFile opens with FILE_SHARE_DELETE, so that a file can be renamed and
// removed while it is open, as everywhere else.
func openFile(path string, flag int, _ os.FileMode) (*os.File, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, &iofs.PathError{Op: "open", Path: path, Err: err}
	}
	access := uint32(windows.GENERIC_READ)
	if flag&os.O_RDWR != 0 {
		access |= windows.GENERIC_WRITE
	}
	disposition := uint32(windows.OPEN_EXISTING)
	switch {
	case flag&(os.O_CREATE|os.O_EXCL) == os.O_CREATE|os.O_EXCL:
		disposition = windows.CREATE_NEW
	case flag&os.O_CREATE != 0:
		disposition = windows.OPEN_ALWAYS
	}
	share := uint32(windows.FILE_SHARE_READ | windows.FILE_SHARE_WRITE | windows.FILE_SHARE_DELETE)
	h, err := windows.CreateFile(name, access, share, nil, disposition, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, &iofs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(h), path), nil
}

func isReadOnly(err error) bool {
	return errors.Is(err, windows.ERROR_WRITE_PROTECT) || errors.Is(err, iofs.ErrPermission)
}

// lockHandle locks the byte at the largest offset, which holds no data, so
// that the file stays readable to others.
func lockHandle(f *os.File, exclusive bool) error {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if exclusive {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var lockErr error
	err = conn.Control(func(fd uintptr) {
		at := windows.Overlapped{Offset: ^uint32(0), OffsetHigh: ^uint32(0) >> 1}
		lockErr = windows.LockFileEx(windows.Handle(fd), flags, 0, 1, 0, &at)
	})
	if err == nil {
		err = lockErr
	}
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
		return ErrLocked
	}
	return err
}

// unlockHandle does nothing: handles are not handed to children.
func unlockHandle(*os.File) error { return nil }

// syncDir does nothing: a directory cannot be flushed on Windows. NTFS logs
// its names, and FlushFileBuffers of a file writes the log up to then.
func syncDir(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = &iofs.PathError{Op: "fsync", Path: dir, Err: errNotDir}
	}
	return err
}

func freeBytes(dir string) (uint64, error) {
	name, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return 0, err
	}
	var available uint64
	if err := windows.GetDiskFreeSpaceEx(name, &available, nil, nil); err != nil {
		return 0, err
	}
	return available, nil
}

func syncData(fd uintptr) error { return windows.FlushFileBuffers(windows.Handle(fd)) }

func startWriteback(uintptr, int64, int64) error { return nil }

func preallocate(uintptr, int64, int64) error { return nil }
