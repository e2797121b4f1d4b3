package vfs

import "syscall"

// Errnos that both the real and the simulated file systems give. All of them
// exist on every platform, on Windows as numbers of the syscall package's own.
const (
	errInvalid  = syscall.EINVAL
	errIsDir    = syscall.EISDIR
	errNotDir   = syscall.ENOTDIR
	errNotEmpty = syscall.ENOTEMPTY
	errReadOnly = syscall.EBADF // a write through a read-only handle
	errNoSpace  = syscall.ENOSPC
	errTooBig   = syscall.EFBIG
	errBusy     = syscall.EBUSY
	errNotOwner = syscall.EPERM // a hard link to a directory
)
