package sstable

import (
	"bytes"
	"context"
	"fmt"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
)

// Verify reads the whole table from the file, past the cache, and checks every
// checksum, the order of the keys, that separators separate, that the filter
// knows every key and, where their extractor is known, every prefix, and that
// counts are what the properties say. It ends early with ctx's error.
//
// Errors: *base.CorruptionError for the first damage; what the file system
// reports, wrapped.
func (r *Reader) Verify(ctx context.Context) error {
	for _, h := range r.sections {
		if h.length == 0 {
			continue
		}
		if _, err := r.readSection(h); err != nil {
			return err
		}
	}
	if _, err := r.readFooter(); err != nil {
		return err
	}
	if r.filterErr != nil {
		return r.filterErr
	}
	return r.verifyEntries(ctx)
}

func (r *Reader) verifyEntries(ctx context.Context) (err error) {
	it := r.newIter(IterOptions{Readahead: true})
	defer it.Close() // its error is Err's
	prefixes := r.prefixExtractor()
	var (
		last  base.InternalKey
		stats collector
		block = -1
		chunk = -1
	)
	for ok := it.First(); ok; ok = it.Next() {
		if it.chunk != chunk || it.blockAt != block {
			if err := ctx.Err(); err != nil {
				return err
			}
			chunk, block = it.chunk, it.blockAt
		}
		key, h := it.Key(), it.idx.handle(it.blockAt)
		switch {
		case stats.props.Entries > 0 && last.Compare(key) >= 0:
			return r.corrupt(h.offset, "keys out of order")
		case !it.inBlock(key.User, key.Trailer):
			return r.corrupt(h.offset, "key outside its block's separators")
		case !r.filterKnows(key.User, prefixes):
			return r.corrupt(r.sections[sectionFilter].offset, "filter does not know a key or its prefix")
		}
		if _, at, same, _ := it.cur.b.search(key.User, key.Trailer); !same || at != it.cur.at {
			return r.corrupt(h.offset, "a search does not find a key of the block")
		}
		if err := stats.entry(key, it.Value()); err != nil {
			return &base.CorruptionError{File: r.name, Offset: int64(h.offset), Reason: "payload", Err: err}
		}
		last.User, last.Trailer = append(last.User[:0], key.User...), key.Trailer
	}
	if err := it.Err(); err != nil {
		return err
	}
	for _, f := range r.rangeDels.Fragments() {
		stats.fragment(f)
	}
	stats.finish(last.User)
	return r.verifyProperties(&stats.props)
}

// verifyProperties compares what was counted with what the table says.
func (r *Reader) verifyProperties(got *Properties) error {
	want := r.props
	if !bytes.Equal(got.Smallest, want.Smallest) || !bytes.Equal(got.Largest, want.Largest) ||
		got.LargestIsExclusive != want.LargestIsExclusive {
		return r.corrupt(r.sections[sectionProperties].offset, "properties: bounds are [%q, %q], not [%q, %q]",
			got.Smallest, got.Largest, want.Smallest, want.Largest)
	}
	// What only the writer can count.
	got.Chunks, got.DataBlocks, got.RawBytes, got.StoredBytes, got.FilterKeys, got.FilterPrefixes =
		want.Chunks, want.DataBlocks, want.RawBytes, want.StoredBytes, want.FilterKeys, want.FilterPrefixes
	counted := got.numbers()
	for i, n := range want.numbers() {
		if *counted[i].v != *n.v {
			return r.corrupt(r.sections[sectionProperties].offset, "property %d is %d, counted %d", n.tag, *n.v, *counted[i].v)
		}
	}
	for file, n := range want.Vlogs {
		if got.Vlogs[file] != n {
			return r.corrupt(r.sections[sectionProperties].offset, "properties: %d bytes in value-log file %d, counted %d",
				n, file, got.Vlogs[file])
		}
	}
	if len(got.Vlogs) != len(want.Vlogs) {
		return r.corrupt(r.sections[sectionProperties].offset, "properties: %d value-log files, counted %d",
			len(want.Vlogs), len(got.Vlogs))
	}
	return nil
}

// Block describes a data block for the inspection tool.
type Block struct {
	Offset, StoredBytes uint64
	Compression         compress.Kind
}

// Blocks calls fn for each data block in order, after checking its checksum,
// until fn returns an error, which it returns.
func (r *Reader) Blocks(fn func(Block) error) error {
	for i := range r.top.n {
		idx, err := r.readChunkIndex(i)
		if err != nil {
			return err
		}
		for j := range idx.n {
			h := idx.handle(j)
			stored := make([]byte, h.length)
			if err := r.readAt(stored, h.offset); err != nil {
				return err
			}
			_, kind, err := r.check(h, stored)
			if err != nil {
				return err
			}
			if err := fn(Block{Offset: h.offset, StoredBytes: h.length, Compression: kind}); err != nil {
				return fmt.Errorf("sstable: blocks of %s: %w", r.name, err)
			}
		}
	}
	return nil
}

// readChunkIndex reads the index of chunk i, past the cache.
func (r *Reader) readChunkIndex(i int) (index, error) {
	h := r.top.chunkIndex(i)
	contents, err := r.readSection(h)
	if err != nil {
		return index{}, err
	}
	if err := r.checkChunkIndex(h, contents); err != nil {
		return index{}, err
	}
	idx, _ := parseIndex(contents)
	return idx, nil
}
