package fuzz

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"path"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/sstable"
	"github.com/cordwood-db/cordwood/vfs"
	"github.com/cordwood-db/cordwood/vlog"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame is a part of a file that has a checksum of its own.
type frame struct{ from, to int }

// layout is where the checksums of a file are. It is learned from the image
// before it is changed: what an edit makes of lengths does not matter then.
// Checksums are made as docs/format says, not by the code under test.
type layout struct {
	kind   base.FileKind
	frames []frame // blocks of tables, records of value logs
}

// layouts learns the layout of each file of an image.
func layouts(t testing.TB, im *image) map[string]layout {
	t.Helper()
	fs := im.mem(t)
	out := make(map[string]layout)
	for _, name := range im.names {
		kind, num := base.ParseFileName(name)
		l := layout{kind: kind}
		switch kind {
		case base.FileTable:
			l.frames = tableFrames(t, fs, name, im.files[name])
		case base.FileVlog:
			_, err := vlog.ScanFile(fs, dir, base.FileNum(num), 0, 0, 0, func(r vlog.Record) error {
				l.frames = append(l.frames, frame{int(r.Offset), int(r.Offset) + int(r.Pointer.Size)})
				return nil
			})
			must(t, err)
		}
		out[name] = l
		b := slices.Clone(im.files[name])
		if l.reseal(b); !bytes.Equal(b, im.files[name]) {
			t.Fatalf("%s is not changed, but its checksums are", name)
		}
	}
	return out
}

// tableFrames are the data blocks, the chunk indexes, which lie in the gaps
// between them, and the sections of a table.
func tableFrames(t testing.TB, fs *vfs.Mem, name string, b []byte) (frames []frame) {
	t.Helper()
	f, err := fs.Open(path.Join(dir, name))
	must(t, err)
	r, err := sstable.Open(f, name, sstable.ReaderOptions{})
	must(t, err)
	end := 0
	gap := func(to int) {
		if to > end {
			frames = append(frames, frame{end, to})
		}
	}
	must(t, r.Blocks(func(blk sstable.Block) error {
		gap(int(blk.Offset))
		end = int(blk.Offset + blk.StoredBytes)
		frames = append(frames, frame{int(blk.Offset), end})
		return nil
	}))
	footer := b[len(b)-tableFooter:]
	gap(int(binary.LittleEndian.Uint64(footer[16:])))
	for i := range 4 {
		at := int(binary.LittleEndian.Uint64(footer[16+16*i:]))
		if n := int(binary.LittleEndian.Uint64(footer[24+16*i:])); n > 0 {
			frames = append(frames, frame{at, at + n})
		}
	}
	must(t, r.Close())
	return frames
}

// reseal makes the checksums of b, which has or had the layout, right.
func (l layout) reseal(b []byte) {
	switch l.kind {
	case base.FileCurrent:
		if n := len(b) - len("crc32c 01234567\n"); n >= 0 {
			copy(b[n:], fmt.Sprintf("crc32c %08x\n", crc32.Checksum(b[:n], castagnoli)))
		}
	case base.FileManifest, base.FileWAL:
		testkit.ResealRecords(b)
	case base.FileTable:
		l.resealTable(b)
	case base.FileVlog:
		l.resealValues(b)
	}
}

const tableFooter = 104

func (l layout) resealTable(b []byte) {
	if len(b) < tableFooter {
		return
	}
	le, footer := binary.LittleEndian, b[len(b)-tableFooter:]
	id := le.Uint64(footer)
	for _, f := range l.frames {
		if f.to > len(b)-tableFooter {
			continue
		}
		contents, trailer := b[f.from:f.to-9], b[f.to-9:f.to]
		sum := le.AppendUint64(nil, xxhash.Sum64(contents))
		sum = append(sum, trailer[0])
		sum = le.AppendUint64(le.AppendUint64(sum, id), uint64(f.from))
		le.PutUint64(trailer[1:], xxhash.Sum64(sum))
	}
	le.PutUint64(footer[88:], xxhash.Sum64(footer[:88]))
}

// The places of docs/format/vlog.md.
const (
	vlogHeader    = 64
	vlogRecord    = 48
	vlogFooter    = 64
	vlogEntry     = 8
	vlogEntries   = 511
	vlogSection   = 40
	vlogRewritten = 1 // flag
)

func (l layout) resealValues(b []byte) {
	if len(b) < vlogHeader {
		return
	}
	le := binary.LittleEndian
	le.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	id := b[16:24]
	for _, f := range l.frames {
		if f.to > len(b) {
			continue
		}
		rec := b[f.from:f.to]
		le.PutUint32(rec[4:], crc32.Checksum(rec[vlogRecord:], castagnoli))
		le.PutUint32(rec, crc32.Update(crc32.Checksum(id, castagnoli), castagnoli, rec[4:vlogRecord]))
	}
	if b[12]&vlogRewritten != 0 && len(b) >= vlogHeader+vlogFooter {
		resealSections(b, id)
	}
}

// resealSections is about what follows the records of a rewritten file.
func resealSections(b, id []byte) {
	le, footer := binary.LittleEndian, b[len(b)-vlogFooter:]
	sum := func(off int, logical uint64, part []byte) uint32 {
		at := le.AppendUint64(le.AppendUint64(slices.Clone(id), uint64(off)), logical)
		return crc32.Update(crc32.Checksum(at, castagnoli), castagnoli, part)
	}
	indexOff, end := le.Uint64(footer[8:]), le.Uint64(footer[24:])
	if room := uint64(len(b) - vlogFooter); indexOff <= room && end <= indexOff {
		index := b[indexOff:room]
		le.PutUint32(footer[4:], sum(int(indexOff), 0, index))
		at := int(end)
		for len(index) >= vlogSection {
			logical, records := le.Uint64(index), int(le.Uint32(index[16:]))
			index = index[vlogSection:]
			for records > 0 && at < int(indexOff) {
				n := min(records, vlogEntries)
				to := at + n*vlogEntry
				if to+4 > int(indexOff) {
					break
				}
				le.PutUint32(b[to:], sum(at, logical, b[at:to]))
				at, records = to+4, records-n
				index = index[min(4, len(index)):]
			}
		}
	}
	le.PutUint32(footer, crc32.Checksum(footer[4:], castagnoli))
}
