//go:build unix

package measure

import (
	"io/fs"
	"syscall"
)

// blockBytes is the unit of Stat_t.Blocks, whatever the file system's own is.
const blockBytes = 512

// allocated is what a file takes up on disk, and whether it has several names.
func allocated(info fs.FileInfo) (bytes int64, id fileID, several bool) {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return info.Size(), fileID{}, false
	}
	return int64(stat.Blocks) * blockBytes, fileID{uint64(stat.Dev), uint64(stat.Ino)}, stat.Nlink > 1
}
