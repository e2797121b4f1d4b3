package base

import (
	"strconv"
	"strings"
)

// FileNum numbers tables, MANIFESTs and value-log files, from one counter that
// never repeats within a database.
type FileNum uint64

// SegmentNum numbers WAL segments. Segments of a database are consecutive, so
// that a missing one is noticed.
type SegmentNum uint64

// FileKind is what a file of a database directory holds.
type FileKind uint8

// The kinds of files.
const (
	FileUnknown  FileKind = iota // a name that is none of ours
	FileLock                     // LOCK: held by the owner
	FileCurrent                  // CURRENT: names the MANIFEST in use
	FileManifest                 // MANIFEST-000001
	FileTable                    // 000001.sst
	FileWAL                      // 000001.wal
	FileVlog                     // 000001.vlog
	FileTemp                     // *.tmp: never referenced, removed at open
)

// Fixed names of a database directory.
const (
	LockName    = "LOCK"
	CurrentName = "CURRENT"
	tempSuffix  = ".tmp"
)

// Parts of names with numbers, and how many digits these have at least.
const (
	manifestPrefix = "MANIFEST-"
	tableSuffix    = ".sst"
	walSuffix      = ".wal"
	vlogSuffix     = ".vlog"
	nameDigits     = 6
)

// FileName is the name, without its directory, of a numbered file.
// It panics for kinds that are not numbered.
func FileName(kind FileKind, num uint64) string {
	var buf [32]byte
	b := buf[:0]
	if kind == FileManifest {
		b = append(b, manifestPrefix...)
	}
	for digits, power := 1, uint64(10); digits < nameDigits; digits, power = digits+1, power*10 {
		if num < power {
			b = append(b, '0')
		}
	}
	b = strconv.AppendUint(b, num, 10)
	switch kind {
	case FileManifest:
	case FileTable:
		b = append(b, tableSuffix...)
	case FileWAL:
		b = append(b, walSuffix...)
	case FileVlog:
		b = append(b, vlogSuffix...)
	default:
		panic("base: FileName of a kind without numbers")
	}
	return string(b)
}

// ParseFileName undoes FileName. Names that are not exactly what FileName
// would give are FileUnknown (or FileTemp if they end in ".tmp").
func ParseFileName(name string) (kind FileKind, num uint64) {
	switch {
	case name == LockName:
		return FileLock, 0
	case name == CurrentName:
		return FileCurrent, 0
	case strings.HasSuffix(name, tempSuffix):
		return FileTemp, 0
	}
	for _, c := range []struct {
		kind           FileKind
		prefix, suffix string
	}{
		{FileManifest, manifestPrefix, ""},
		{FileTable, "", tableSuffix}, {FileWAL, "", walSuffix}, {FileVlog, "", vlogSuffix},
	} {
		digits, ok := strings.CutPrefix(name, c.prefix)
		if !ok {
			continue
		}
		if digits, ok = strings.CutSuffix(digits, c.suffix); !ok {
			continue
		}
		if len(digits) < nameDigits || len(digits) > nameDigits && digits[0] == '0' {
			continue
		}
		if n, err := strconv.ParseUint(digits, 10, 64); err == nil {
			return c.kind, n
		}
	}
	return FileUnknown, 0
}
