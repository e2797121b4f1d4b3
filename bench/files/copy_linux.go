package files

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// nextData returns the next stretch from offset on that is no hole, within size.
func nextData(file *os.File, offset, size int64) (start, end int64, err error) {
	start, err = unix.Seek(int(file.Fd()), offset, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // only a hole is left
		return size, size, nil
	case err != nil: // a file system that does not tell: all is data
		return offset, size, nil
	}
	if end, err = unix.Seek(int(file.Fd()), start, unix.SEEK_HOLE); err != nil {
		return 0, 0, &os.PathError{Op: "seeking a hole in", Path: file.Name(), Err: err}
	}
	return min(start, size), min(end, size), nil
}
