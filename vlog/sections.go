package vlog

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
)

// A rewritten file is: file header, records, translation blocks, section index,
// footer. All constants of this block are part of the file format.
const (
	footerMagic = uint64(0x646e657664726f63) // "cordvend"
	footerLen   = 64

	sectionLen       = 40
	entryLen         = 8                                // logical u32, physical u32
	blockSumLen      = 4                                // CRC-32C after the entries
	blockEntriesMax  = (4<<10 - blockSumLen) / entryLen // 511
	flagAllExpire    = 1 << 0
	indexFirstLen    = 4 // first logical offset of a block
	rewriteOffsetMax = math.MaxUint32
)

// Offsets in the footer. Part of the file format. What is not named is zero.
const (
	ftSum        = 0
	ftIndexSum   = 4
	ftIndexOff   = 8
	ftIndexLen   = 16
	ftRecordsEnd = 24
	ftSections   = 32
	ftID         = 40
	ftMagic      = 56
)

// Offsets in a section's entry of the index. Part of the file format.
const (
	seLogical   = 0
	seBytes     = 8
	seRecords   = 16
	seFlags     = 20
	seExpiryMin = 24
	seExpiryMax = 32
)

// section is the part of a rewritten file that belongs to one logical file. The
// records of a section lie together, in the order of their logical offsets; so
// do its translation blocks, all full but the last.
type section struct {
	logical    base.FileNum
	start, end int64 // of its records
	records    uint32
	expiryMin  uint64
	expiryMax  uint64
	allExpire  bool
	blocks     int64    // where its first translation block starts
	firsts     []uint32 // first logical offset of each block
}

// blockCount is how many translation blocks hold n entries.
func blockCount(n uint32) int {
	return int((int64(n) + blockEntriesMax - 1) / blockEntriesMax)
}

// translationLen is the length of the translation blocks of n entries, in bytes.
func translationLen(n uint32) int64 {
	return int64(n)*entryLen + int64(blockCount(n))*blockSumLen
}

// blockAt is where block i lies and how many entries it has.
func (s *section) blockAt(i int) (off int64, entries int) {
	entries = min(int(s.records)-i*blockEntriesMax, blockEntriesMax)
	return s.blocks + int64(i)*(blockEntriesMax*entryLen+blockSumLen), entries
}

// sectionIndex is the pinned part of a rewritten file.
type sectionIndex struct {
	sections   []section // in the order of the file
	byLogical  []int     // indexes into sections, by ascending logical file
	recordsEnd int64
}

// pinnedBytes is the memory held; 0 for nil.
func (x *sectionIndex) pinnedBytes() int64 {
	if x == nil {
		return 0
	}
	n := int64(len(x.sections)) * 96
	for i := range x.sections {
		n += int64(cap(x.sections[i].firsts)) * indexFirstLen
	}
	return n
}

// find returns the section of a logical file, or nil.
func (x *sectionIndex) find(logical base.FileNum) *section {
	i, ok := slices.BinarySearchFunc(x.byLogical, logical, func(i int, l base.FileNum) int {
		return cmp.Compare(x.sections[i].logical, l)
	})
	if !ok {
		return nil
	}
	return &x.sections[x.byLogical[i]]
}

// order fills byLogical. It reports whether no logical file occurs twice.
func (x *sectionIndex) order() bool {
	x.byLogical = make([]int, len(x.sections))
	for i := range x.byLogical {
		x.byLogical[i] = i
	}
	slices.SortFunc(x.byLogical, func(a, b int) int {
		return cmp.Compare(x.sections[a].logical, x.sections[b].logical)
	})
	for i := 1; i < len(x.byLogical); i++ {
		if x.sections[x.byLogical[i-1]].logical == x.sections[x.byLogical[i]].logical {
			return false
		}
	}
	return true
}

// encode appends the index as it is stored.
func (x *sectionIndex) encode(dst []byte) []byte {
	for i := range x.sections {
		s := &x.sections[i]
		var b [sectionLen]byte
		le := binary.LittleEndian
		le.PutUint64(b[seLogical:], uint64(s.logical))
		le.PutUint64(b[seBytes:], uint64(s.end-s.start))
		le.PutUint32(b[seRecords:], s.records)
		if s.allExpire {
			le.PutUint32(b[seFlags:], flagAllExpire)
		}
		le.PutUint64(b[seExpiryMin:], s.expiryMin)
		le.PutUint64(b[seExpiryMax:], s.expiryMax)
		dst = append(dst, b[:]...)
		for _, f := range s.firsts {
			dst = le.AppendUint32(dst, f)
		}
	}
	return dst
}

// footer closes a rewritten file.
type footer struct {
	indexSum           uint32
	indexOff, indexLen int64
	recordsEnd         int64
	sections           uint64
}

func (t footer) encode(id uint64) (b [footerLen]byte) {
	le := binary.LittleEndian
	le.PutUint32(b[ftIndexSum:], t.indexSum)
	le.PutUint64(b[ftIndexOff:], uint64(t.indexOff))
	le.PutUint64(b[ftIndexLen:], uint64(t.indexLen))
	le.PutUint64(b[ftRecordsEnd:], uint64(t.recordsEnd))
	le.PutUint64(b[ftSections:], t.sections)
	le.PutUint64(b[ftID:], id)
	le.PutUint64(b[ftMagic:], footerMagic)
	le.PutUint32(b[ftSum:], crc32.Checksum(b[ftIndexSum:], castagnoli))
	return b
}

// decode checks the footer of a file of the given size, in bytes, and returns
// what is wrong with it or "". All its parts lie within the file if nothing is.
func (t *footer) decode(b []byte, id uint64, size int64) (wrong string) {
	le := binary.LittleEndian
	switch {
	case le.Uint64(b[ftMagic:]) != footerMagic:
		return "no footer: the file is cut short or longer than written"
	case le.Uint32(b[ftSum:]) != crc32.Checksum(b[ftIndexSum:], castagnoli):
		return "checksum mismatch in footer"
	case le.Uint64(b[ftID:]) != id:
		return "footer of another file"
	}
	t.indexSum = le.Uint32(b[ftIndexSum:])
	off, n, end := le.Uint64(b[ftIndexOff:]), le.Uint64(b[ftIndexLen:]), le.Uint64(b[ftRecordsEnd:])
	t.sections = le.Uint64(b[ftSections:])
	room := uint64(size - footerLen)
	if off > room || n != room-off || end < fileHeaderLen || end > off || t.sections > n/sectionLen {
		return "footer does not fit the file's size"
	}
	t.indexOff, t.indexLen, t.recordsEnd = int64(off), int64(n), int64(end)
	return ""
}

// readSectionIndex reads footer and index of a rewritten file.
func readSectionIndex(f vfs.File, name string, id uint64, size int64) (*sectionIndex, error) {
	at := size - footerLen
	if at < fileHeaderLen {
		return nil, base.Corruptf(name, 0, "rewritten file of %d bytes has no footer", size)
	}
	b := make([]byte, footerLen)
	if err := readFull(f, name, b, at); err != nil {
		return nil, err
	}
	var t footer
	if wrong := t.decode(b, id, size); wrong != "" {
		return nil, base.Corruptf(name, at, "%s", wrong)
	}
	if t.indexLen > math.MaxInt32 {
		return nil, base.Corruptf(name, at, "section index of %d bytes", t.indexLen)
	}
	b = make([]byte, t.indexLen)
	if err := readFull(f, name, b, t.indexOff); err != nil {
		return nil, err
	}
	if sumAt(id, t.indexOff, 0, b) != t.indexSum {
		return nil, base.Corruptf(name, t.indexOff, "checksum mismatch in section index")
	}
	x := &sectionIndex{recordsEnd: t.recordsEnd}
	if err := x.decode(b, t); err != nil {
		return nil, base.Corruptf(name, t.indexOff, "section index: %v", err)
	}
	return x, nil
}

// decode undoes encode, and checks that the sections fill the file.
func (x *sectionIndex) decode(b []byte, t footer) error {
	x.sections = make([]section, t.sections)
	start, blocks := int64(fileHeaderLen), t.recordsEnd
	for i := range x.sections {
		if len(b) < sectionLen {
			return fmt.Errorf("cut short")
		}
		s := &x.sections[i]
		bytes := s.decode(b)
		b = b[sectionLen:]
		room := uint64(t.recordsEnd - start)
		if bytes > room || s.records == 0 || uint64(s.records) > bytes/recordHeaderLen {
			return fmt.Errorf("section %d has %d records in %d bytes, with %d left", i, s.records, bytes, room)
		}
		s.start, s.end, s.blocks = start, start+int64(bytes), blocks
		start = s.end
		blocks += translationLen(s.records)
		n := blockCount(s.records)
		if len(b)/indexFirstLen < n {
			return fmt.Errorf("cut short")
		}
		s.firsts = make([]uint32, n)
		for j := range s.firsts {
			s.firsts[j] = binary.LittleEndian.Uint32(b[j*indexFirstLen:])
		}
		b = b[n*indexFirstLen:]
		if !slices.IsSorted(s.firsts) {
			return fmt.Errorf("section %d is not in order", i)
		}
	}
	if start != t.recordsEnd || blocks != t.indexOff || len(b) != 0 {
		return fmt.Errorf("the sections do not fill the file")
	}
	if !x.order() {
		return fmt.Errorf("two sections of one logical file")
	}
	return nil
}

// decode reads the fixed part of a section's entry and returns the length of its
// records in bytes, unchecked.
func (s *section) decode(b []byte) (bytes uint64) {
	le := binary.LittleEndian
	s.logical = base.FileNum(le.Uint64(b[seLogical:]))
	s.records = le.Uint32(b[seRecords:])
	s.allExpire = le.Uint32(b[seFlags:])&flagAllExpire != 0
	s.expiryMin = le.Uint64(b[seExpiryMin:])
	s.expiryMax = le.Uint64(b[seExpiryMax:])
	return le.Uint64(b[seBytes:])
}

// sumAt is the checksum of a translation block or index: it binds the file, the
// place in it and the logical file that it is about (0 for the index).
func sumAt(id uint64, off int64, logical base.FileNum, b []byte) uint32 {
	var at [24]byte
	le := binary.LittleEndian
	le.PutUint64(at[0:], id)
	le.PutUint64(at[8:], uint64(off))
	le.PutUint64(at[16:], uint64(logical))
	return crc32.Update(crc32.Update(0, castagnoli, at[:]), castagnoli, b)
}
