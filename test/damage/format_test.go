package damage

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// This file knows, from docs/format, where versions, sections and numbers are.

const (
	tableFooterBytes = 104
	vlogHeaderBytes  = 64
	vlogFooterBytes  = 64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// ofVersion is a file as another version of its format would begin, with
// checksums that hold; nil if the format has no version.
func ofVersion(f *File, version uint32) []byte {
	data := bytes.Clone(f.Data)
	header := func(versionAt int) []byte {
		const crcAt = 60
		binary.LittleEndian.PutUint32(data[versionAt:], version)
		binary.LittleEndian.PutUint32(data[crcAt:], crc32.Checksum(data[:crcAt], castagnoli))
		return data
	}
	switch kind(f.Name) {
	case "CURRENT":
		line := fmt.Appendf(nil, "format %d\n", version)
		body, _, _ := bytes.Cut(bytes.Replace(data, []byte("format 1\n"), line, 1), []byte("crc32c "))
		return fmt.Appendf(body, "crc32c %08x\n", crc32.Checksum(body, castagnoli))
	case "MANIFEST", ".wal":
		return header(12)
	case ".vlog":
		return header(8)
	case ".sst":
		footer := data[len(data)-tableFooterBytes:]
		binary.LittleEndian.PutUint32(footer[84:], version)
		binary.LittleEndian.PutUint64(footer[88:], xxhash.Sum64(footer[:88]))
		return data
	}
	return nil
}

// The parts of files, rows of the second table in docs/damage.md.
const (
	partBlocks     = "table: blocks of entries and their index"
	partFilter     = "table: filter"
	partTombstones = "table: range tombstones"
	partProperties = "table: properties"
	partTopIndex   = "table: top index"
	partFooter     = "table: footer"
	partHeader     = "value log: header"
	partRecords    = "value log: records"
	partSections   = "value log: sections of a rewritten file"
	partRecordHead = "WAL: header"
	partLog        = "WAL: records"
)

// Parts are the parts of files.
var Parts = []string{partBlocks, partFilter, partTombstones, partProperties, partTopIndex, partFooter,
	partHeader, partRecords, partSections, partRecordHead, partLog}

// partOf is the part of a file that a byte lies in, empty for files without.
func partOf(f *File, at int) string {
	switch kind(f.Name) {
	case ".sst":
		footer := f.Data[len(f.Data)-tableFooterBytes:]
		if at >= len(f.Data)-tableFooterBytes {
			return partFooter
		}
		for i, part := range []string{partFilter, partTombstones, partProperties, partTopIndex} {
			start := int(binary.LittleEndian.Uint64(footer[16+16*i:]))
			if at >= start && at < start+int(binary.LittleEndian.Uint64(footer[24+16*i:])) {
				return part
			}
		}
		return partBlocks
	case ".vlog":
		records := len(f.Data)
		if f.Role == roleRewritten {
			footer := f.Data[len(f.Data)-vlogFooterBytes:]
			records = int(binary.LittleEndian.Uint64(footer[24:]))
		}
		switch {
		case at < vlogHeaderBytes:
			return partHeader
		case at < records:
			return partRecords
		}
		return partSections
	case ".wal":
		if at < fileHeaderBytes {
			return partRecordHead
		}
		return partLog
	}
	return ""
}

// renumbered is the name of the file with a number that is higher by n; empty
// if it has none.
func renumbered(name string, n int) string {
	from := strings.IndexAny(name, "0123456789")
	if from < 0 {
		return ""
	}
	to := from
	for to < len(name) && name[to] >= '0' && name[to] <= '9' {
		to++
	}
	num, err := strconv.Atoi(name[from:to])
	if err != nil || num+n < 0 {
		return ""
	}
	return fmt.Sprintf("%s%06d%s", name[:from], num+n, name[to:])
}
