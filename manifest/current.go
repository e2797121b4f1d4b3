package manifest

import (
	"errors"
	"fmt"
	"hash/crc32"
	iofs "io/fs"
	"path/filepath"
	"strings"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// FormatVersion is the version of the format of a database directory that this
// package writes, and the newest it knows. It stands in CURRENT.
const FormatVersion = 1

// CURRENT is text, so that a person can read it:
//
//	cordwood database
//	format 1
//	manifest MANIFEST-000012
//	id 0123456789abcdef
//	crc32c 89abcdef
//
// Every line ends in a newline. The checksum covers the lines before its own;
// first and last line are the same in all versions of the format.
const (
	currentMagic    = "cordwood database\n"
	currentCRCLine  = "crc32c %08x\n"
	currentCRCBytes = len("crc32c 01234567\n")
	currentBytesMax = 4 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// marker is what CURRENT says.
type marker struct {
	manifest base.FileNum
	id       uint64 // of the MANIFEST file
}

func (m marker) encode() []byte {
	return sealMarker(fmt.Appendf(nil, currentMagic+"format %d\nmanifest %s\nid %016x\n",
		FormatVersion, base.FileName(base.FileManifest, uint64(m.manifest)), m.id))
}

// sealMarker appends the checksum.
func sealMarker(b []byte) []byte {
	return fmt.Appendf(b, currentCRCLine, crc32.Checksum(b, castagnoli))
}

// decodeMarker undoes encode. Only what encode would write is accepted.
func decodeMarker(b []byte) (marker, error) {
	corrupt := func(reason string) (marker, error) {
		return marker{}, base.Corruptf(base.CurrentName, 0, "%s", reason)
	}
	body := len(b) - currentCRCBytes
	if body < 0 {
		return corrupt("too short")
	}
	text := string(b[:body])
	if string(b[body:]) != fmt.Sprintf(currentCRCLine, crc32.Checksum(b[:body], castagnoli)) {
		return corrupt("checksum does not match")
	}
	var version uint32
	text, ok := strings.CutPrefix(text, currentMagic)
	if !ok {
		return corrupt("not the marker of a database")
	}
	if _, err := fmt.Sscanf(text, "format %d\n", &version); err != nil || version == 0 {
		return corrupt("no format version")
	}
	if version > FormatVersion {
		return marker{}, &base.FormatError{File: base.CurrentName, Found: version, Known: FormatVersion}
	}
	var name string
	var m marker
	if _, err := fmt.Sscanf(text, "format %d\nmanifest %s\nid %x\n", &version, &name, &m.id); err != nil {
		return corrupt("malformed")
	}
	kind, num := base.ParseFileName(name)
	m.manifest = base.FileNum(num)
	if kind != base.FileManifest || string(m.encode()) != string(b) {
		return corrupt("malformed")
	}
	return m, nil
}

// readCurrent reads CURRENT. If it is not there, the error says what that
// means: fs.ErrNotExist if there is no database, else *base.MissingFileError.
func readCurrent(fs vfs.FS, dir string) (marker, error) {
	path := filepath.Join(dir, base.CurrentName)
	b, err := vfs.ReadFile(fs, path, currentBytesMax)
	if errors.Is(err, iofs.ErrNotExist) {
		found, err := Exists(fs, dir)
		if err == nil && !found {
			err = fmt.Errorf("manifest: no database in %s: %w", dir, iofs.ErrNotExist)
		}
		if err == nil {
			err = fmt.Errorf("manifest: CURRENT in %s appeared just now", dir)
		}
		return marker{}, err
	}
	if err != nil {
		if info, serr := fs.Stat(path); serr == nil && info.Size > currentBytesMax {
			return marker{}, base.Corruptf(base.CurrentName, currentBytesMax, "too long")
		}
		return marker{}, fmt.Errorf("manifest: read CURRENT: %w", err)
	}
	return decodeMarker(b)
}
