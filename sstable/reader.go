package sstable

import (
	"errors"
	"fmt"
	"io"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/cache"
	"github.com/cordwood-db/cordwood/internal/compress"
	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/vfs"
)

// ReaderOptions says how a table is read.
type ReaderOptions struct {
	Cache    *cache.Cache    // nil: every block is read when it is needed
	Codec    *compress.Codec // nil: a new one
	ExpectID uint64          // from the MANIFEST; 0: whatever the file says
	FileNum  base.FileNum    // names the table in the cache; unique there

	// Prefix lets Verify check the prefixes in filters that it made. Those of
	// the ready-made extractors are checked in any case.
	Prefix base.PrefixExtractor
}

// Reader reads one table. It is safe for concurrent use; Close must come after
// all lookups have returned and all iterators are closed.
type Reader struct {
	// Immutable after Open.
	f         vfs.File
	name      string
	num       uint64
	id        uint64
	size      uint64
	dataEnd   uint64 // end of the chunks
	cache     *cache.Cache
	codec     *compress.Codec
	top       index
	filter    filter.Filter
	hasFilter bool
	filterErr error
	extractor base.PrefixExtractor // from the options; may be nil
	sections  [sectionCount]handle
	rangeDels *rangedel.Set
	delBytes  int64
	props     Properties
}

// Open opens the table in f, whose base name is name, and reads its footer,
// properties, top index, range tombstones and filter. It takes f over and
// closes it, also when it fails.
//
// Errors: *base.CorruptionError; *base.FormatError for a newer version; what
// the file system reports, wrapped. A damaged filter is no error, see
// FilterDamage; one that the file system cannot read is.
func Open(f vfs.File, name string, opts ReaderOptions) (*Reader, error) {
	r := &Reader{f: f, name: name, num: uint64(opts.FileNum), cache: opts.Cache, codec: opts.Codec, extractor: opts.Prefix}
	if r.codec == nil {
		r.codec = compress.NewCodec()
	}
	if err := r.open(opts.ExpectID); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return r, nil
}

func (r *Reader) open(expectID uint64) error {
	ft, err := r.readFooter()
	if err != nil {
		return err
	}
	r.id, r.size, r.sections, r.dataEnd = ft.id, ft.size, ft.sections, ft.sections[sectionFilter].offset
	if expectID != 0 && r.id != expectID {
		return base.Corruptf(r.name, int64(r.size-footerBytes),
			"table ID %#x, the MANIFEST names %#x", r.id, expectID)
	}
	if err := r.openTopIndex(); err != nil {
		return err
	}
	if err := r.openProperties(); err != nil {
		return err
	}
	if err := r.openRangeDels(); err != nil {
		return err
	}
	return r.openFilter()
}

func (r *Reader) readFooter() (footer, error) {
	size, err := r.f.Size()
	if err != nil {
		return footer{}, fmt.Errorf("sstable: size of %s: %w", r.name, err)
	}
	if size < footerTailBytes {
		return footer{}, base.Corruptf(r.name, 0, "%d bytes are too few for a table", size)
	}
	// As a rule the footer has the length it has today.
	tail := make([]byte, min(size, footerBytes))
	if err := r.readAt(tail, uint64(size)-uint64(len(tail))); err != nil {
		return footer{}, err
	}
	ft, err := decodeFooter(r.name, tail, uint64(size))
	if err == nil || !footerIsLonger(tail, uint64(size)) {
		return ft, err
	}
	tail = make([]byte, min(size, footerBytesMax))
	if err := r.readAt(tail, uint64(size)-uint64(len(tail))); err != nil {
		return footer{}, err
	}
	return decodeFooter(r.name, tail, uint64(size))
}

func (r *Reader) openTopIndex() error {
	h := r.sections[sectionTopIndex]
	contents, err := r.readSection(h)
	if err != nil {
		return err
	}
	top, reason := checkIndex(contents, 0, r.dataEnd, true)
	if reason != "" {
		return r.corrupt(h.offset, "top %s", reason)
	}
	r.top = top
	return nil
}

func (r *Reader) openProperties() error {
	h := r.sections[sectionProperties]
	contents, err := r.readSection(h)
	if err != nil {
		return err
	}
	p, ok := decodeProperties(contents)
	if !ok {
		return r.corrupt(h.offset, "malformed properties")
	}
	p.Size, p.ID = r.size, r.id
	r.props = p
	return nil
}

// openFilter reads the filter. What is wrong with it is kept for FilterDamage:
// the table works without.
func (r *Reader) openFilter() error {
	h := r.sections[sectionFilter]
	if h.length == 0 {
		return nil
	}
	contents, err := r.readSection(h)
	if err != nil {
		if _, ok := errors.AsType[*base.CorruptionError](err); !ok {
			return err
		}
		r.filterErr = err
		return nil
	}
	flt, err := filter.Open(contents)
	if err != nil {
		r.filterErr = &base.CorruptionError{File: r.name, Offset: int64(h.offset), Reason: "filter", Err: err}
		return nil
	}
	r.filter, r.hasFilter = flt, true
	return nil
}

// readAt fills b from offset, which the caller knows to be inside the file.
func (r *Reader) readAt(b []byte, offset uint64) error {
	n, err := r.f.ReadAt(b, int64(offset))
	switch {
	case n == len(b):
		return nil
	case err == nil || errors.Is(err, io.EOF):
		return r.corrupt(offset, "file ends within a block")
	}
	return fmt.Errorf("sstable: read %s at %d: %w", r.name, offset, err)
}

func (r *Reader) corrupt(offset uint64, format string, args ...any) error {
	return base.Corruptf(r.name, int64(offset), format, args...)
}

// Close closes the file.
func (r *Reader) Close() error {
	if err := r.f.Close(); err != nil {
		return fmt.Errorf("sstable: close %s: %w", r.name, err)
	}
	return nil
}

// PinnedBytes is about how much memory the reader holds as long as it is open.
func (r *Reader) PinnedBytes() int64 {
	const structBytes = 1 << 10
	return structBytes + int64(len(r.top.keys)+len(r.top.heads)+len(r.top.records)) + int64(r.filter.Size()) + r.delBytes
}

// Properties returns what the table says about itself. The caller owns it.
func (r *Reader) Properties() Properties { return r.props.clone() }

// ID is the table ID.
func (r *Reader) ID() uint64 { return r.id }

// RangeDels returns the range tombstones; nil if there are none. The set must
// not be used after the reader is closed.
func (r *Reader) RangeDels() *rangedel.Set { return r.rangeDels }

// FilterDamage is what is wrong with the table's filter, which is then not
// used; nil if it is whole or there is none.
func (r *Reader) FilterDamage() error { return r.filterErr }
