package sstable

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/vfs"
)

// Limits and defaults.
const (
	keyBytesMax     = 64 << 10
	payloadBytesMax = 1<<30 + 1<<20 // a value of 1 GiB with room for an expiry

	blockBytesDefault      = 8 << 10
	blockBytesMax          = 16 << 20
	chunkBytesDefault      = 1 << 20
	chunkBytesMax          = 4 << 20
	restartIntervalDefault = 16
	restartIntervalMax     = 128 // part of the file format: bounds what going backwards keeps

	// largePayloadBytes and more get a block of their own, stored raw and
	// written from the caller's slice.
	largePayloadBytes = 8 << 20

	// blockSlackBytes is left free of a block's target size: a decoder that
	// finds spare room behind its output copies in whole words, and size
	// classes of buffers are powers of two.
	blockSlackBytes = 32
)

// WriterOptions says how a table is written. Zero values mean the defaults.
type WriterOptions struct {
	BlockBytes       int     // target for a data block before compression: 1 byte to 16 MiB, 8 KiB
	ChunkBytes       int     // bound for a chunk as stored: up to 4 MiB, 1 MiB
	RestartInterval  int     // entries from one restart point to the next: up to 128, 16
	FilterBitsPerKey float64 // and per prefix; 0: no filter
	Compression      compress.Kind
	Keyspace         uint32 // stored in the properties
	ID               uint64 // random; binds every checksum
	Codec            *compress.Codec

	// Prefix finds the prefixes of keys that the filter holds too. nil: none.
	// If it breaks the rules of a PrefixExtractor, the table has none either.
	Prefix base.PrefixExtractor
}

func (o WriterOptions) withDefaults() WriterOptions {
	o.BlockBytes = min(cmp.Or(max(o.BlockBytes, 0), blockBytesDefault), blockBytesMax)
	o.ChunkBytes = min(cmp.Or(max(o.ChunkBytes, 0), chunkBytesDefault), chunkBytesMax)
	o.RestartInterval = min(cmp.Or(max(o.RestartInterval, 0), restartIntervalDefault), restartIntervalMax)
	if o.Codec == nil {
		o.Codec = compress.NewCodec()
	}
	return o
}

// Writer writes one table. It belongs to one goroutine. Its first error is
// sticky: every later call returns it, and the file is of no use.
type Writer struct {
	out  output
	name string
	opts WriterOptions
	err  error

	// The block that is being filled, and the last key added.
	block   blockBuilder
	last    base.InternalKey // User is the writer's own memory
	hasLast bool

	// The chunk that is being filled.
	chunkStart uint64
	chunk      indexBuilder
	top        indexBuilder
	pending    handle // a block already written that still needs a separator

	filter filterBuilder
	stats  collector
	stream compress.Stream // compresses the data blocks

	rangeDels blockBuilder
	delEnd    []byte // end of the last fragment added to rangeDels

	scratch []byte // stored form of a data block
	section []byte // stored form of another block
	index   []byte // contents of a chunk's index
	sep     []byte
}

// NewWriter starts a table at the beginning of f, which is empty. The caller
// keeps f and closes it after Finish, or after giving up; name is for errors.
func NewWriter(f vfs.File, name string, opts WriterOptions) *Writer {
	opts = opts.withDefaults()
	return &Writer{
		out:       newOutput(f, name),
		name:      name,
		opts:      opts,
		block:     blockBuilder{interval: opts.RestartInterval},
		rangeDels: blockBuilder{interval: 1},
		filter:    filterBuilder{extractor: opts.Prefix},
	}
}

var errFinished = errors.New("sstable: writer is finished")

// Add appends an entry. Internal keys ascend strictly; range tombstones go to
// AddRangeDel. Neither slice is kept. The payload must be what the kind says:
// an expiry and a pointer are decoded for the table's properties.
//
// Errors by errors.Is: base.ErrKeyTooLarge above 64 KiB, base.ErrValueTooLarge
// for a payload above 1 GiB and 1 MiB.
func (w *Writer) Add(key base.InternalKey, payload []byte) error {
	if w.err != nil {
		return w.err
	}
	shared, err := w.check(key, payload)
	if err == nil {
		err = w.stats.entry(key, payload)
	}
	if err != nil {
		return w.fail(fmt.Errorf("sstable: add to %s: %w", w.name, err))
	}
	if w.opts.FilterBitsPerKey > 0 && (!w.hasLast || shared < len(key.User) || shared < len(w.last.User)) {
		w.filter.add(key.User, shared)
	}
	if w.pending.length != 0 {
		w.indexPending(key)
	}
	if len(payload) >= largePayloadBytes {
		w.addLarge(key, payload)
	} else {
		grows := entryHeaderMin + len(key.User) - shared + len(payload) + restartBytes + blockSlackBytes
		if w.block.count > 0 && w.block.size()+grows > w.opts.BlockBytes {
			w.finishBlock(key)
		}
		w.block.add(key.User, shared, key.Trailer, payload)
	}
	w.last.User = append(w.last.User[:shared], key.User[shared:]...)
	w.last.Trailer = key.Trailer
	w.hasLast = true
	return w.fail(w.out.err)
}

// fail makes the first error sticky. One of the output comes first: behind it,
// offsets make no sense.
func (w *Writer) fail(err error) error {
	err = cmp.Or(w.out.err, err)
	if err != nil && w.err == nil {
		w.err = err
		w.out.close()
	}
	return w.err
}

// check checks an entry before it is added, and returns the length of the
// prefix that its user key shares with the last one.
func (w *Writer) check(key base.InternalKey, payload []byte) (shared int, err error) {
	kind := key.Trailer.Kind()
	switch {
	case len(key.User) > keyBytesMax:
		return 0, base.ErrKeyTooLarge
	case len(payload) > payloadBytesMax:
		return 0, base.ErrValueTooLarge
	case !kind.Valid() || kind == base.KindRangeDelete:
		return 0, fmt.Errorf("entry of kind %s", kind)
	case !w.hasLast:
		return 0, nil
	}
	last := w.last.User
	shared = commonPrefix(last, key.User)
	ascends := false
	switch {
	case shared == len(key.User):
		ascends = shared == len(last) && key.Trailer < w.last.Trailer
	case shared == len(last):
		ascends = true
	default:
		ascends = last[shared] < key.User[shared]
	}
	if !ascends {
		return 0, fmt.Errorf("keys out of order: %s after %s", key, w.last)
	}
	return shared, nil
}

// EstimatedSize is about how large the file would be if it were finished now,
// taking what is not yet compressed at its full size.
func (w *Writer) EstimatedSize() uint64 {
	if w.out.buf == nil {
		return w.out.at
	}
	n := w.out.offset() + uint64(w.block.size()+w.chunk.size()+w.top.size()+w.rangeDels.size()) + footerBytes
	if w.opts.FilterBitsPerKey > 0 {
		n += uint64(w.filter.EstimatedSize(w.opts.FilterBitsPerKey))
	}
	return n
}

// Finish writes what is left and the footer, and syncs the file. The table is
// then durable once its directory is synced.
func (w *Writer) Finish() (Meta, error) {
	if w.err != nil {
		return Meta{}, w.err
	}
	if w.block.count > 0 {
		w.writeBlock()
	}
	if w.pending.length != 0 {
		// Nothing follows: the last key's versions end here.
		w.addToChunk(w.last.User, 0)
	}
	if w.chunk.n > 0 {
		w.finishChunk()
	}
	ft := footer{id: w.opts.ID}
	w.writeSections(&ft)
	if w.err != nil {
		return Meta{}, w.err
	}
	if err := w.out.sync(); err != nil {
		return Meta{}, w.fail(err)
	}
	p := w.stats.props.clone()
	w.fail(errFinished)
	return p.Meta, nil
}

// writeSections writes all that follows the chunks.
func (w *Writer) writeSections(ft *footer) {
	p := &w.stats.props
	w.stats.finish(w.last.User)
	p.Compression, p.Keyspace = w.opts.Compression, w.opts.Keyspace
	ft.sections[sectionFilter].offset = w.out.offset()
	if w.opts.FilterBitsPerKey > 0 && w.filter.Len() > 0 {
		w.filter.describe(p)
		ft.sections[sectionFilter] = w.writeSection(w.filter.Finish(nil, w.opts.FilterBitsPerKey), compress.None)
	}
	ft.sections[sectionRangeDels].offset = w.out.offset()
	if w.rangeDels.count > 0 {
		ft.sections[sectionRangeDels] = w.writeSection(w.rangeDels.finish(), w.opts.Compression)
	}
	ft.sections[sectionProperties] = w.writeSection(p.append(nil), compress.None)
	ft.sections[sectionTopIndex] = w.writeSection(w.top.finish(nil), compress.None)
	ft.size = w.out.offset() + footerBytes
	p.Size, p.ID = ft.size, ft.id
	w.scratch = ft.append(w.scratch[:0])
	w.out.append(w.scratch)
}
