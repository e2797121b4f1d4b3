package measure

import (
	"fmt"
	"io/fs"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// DropCache takes the files below dir out of the page cache, so that what reads
// them next reads from the storage: each is synced, for only clean pages can go,
// and given up with posix_fadvise(2). Nobody should have them open or mapped. It
// returns which part of their pages is in memory all the same, from 0 to 1, as
// mincore(2) tells: 1 on file systems that are in memory altogether. What the
// kernel knows of directories, names and places on the disk stays.
//
// ok is false where this cannot be done (other than Linux). Files that vanish
// meanwhile are skipped.
func DropCache(dir string) (resident float64, ok bool, err error) {
	var in, all int
	err = eachFile(dir, func(path string, _ fs.FileInfo) error {
		i, n, err := dropFile(path)
		in, all = in+i, all+n
		return err
	})
	if err != nil {
		return 0, false, fmt.Errorf("dropping the page cache of %s: %w", dir, err)
	}
	return float64(in) / float64(max(all, 1)), true, nil
}

// dropFile returns how many of a file's pages are still in memory.
func dropFile(path string) (in, all int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close() // only read
	if err := f.Sync(); err != nil {
		return 0, 0, err
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return 0, 0, &os.PathError{Op: "fadvise", Path: path, Err: err}
	}
	info, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	for offset := int64(0); offset < info.Size(); offset += mapBytes {
		i, n, err := cached(int(f.Fd()), offset, int(min(info.Size()-offset, mapBytes)))
		if err != nil {
			return 0, 0, &os.PathError{Op: "mincore", Path: path, Err: err}
		}
		in, all = in+i, all+n
	}
	return in, all, nil
}

// mapBytes is how much of a file is mapped at a time: little enough for 32 bits.
const mapBytes = 64 << 20

// cached returns how many pages of a part of a file are in memory.
func cached(fd int, offset int64, length int) (in, all int, err error) {
	part, err := unix.Mmap(fd, offset, length, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return 0, 0, err
	}
	page := os.Getpagesize()
	pages := make([]byte, (length+page-1)/page)
	_, _, errno := unix.Syscall(unix.SYS_MINCORE,
		uintptr(unsafe.Pointer(&part[0])), uintptr(length), uintptr(unsafe.Pointer(&pages[0])))
	if err := unix.Munmap(part); err != nil {
		return 0, 0, err
	}
	if errno != 0 {
		return 0, 0, errno
	}
	for _, p := range pages {
		in += int(p & 1) // the other bits are reserved
	}
	return in, len(pages), nil
}
