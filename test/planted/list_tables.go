//go:build planted

package main

var tableBugs = []mutation{
	{"filter-asked-with-another-hash", "6", "Filters are asked with another hash than they were built with.",
		"db/get.go",
		`	hash := filter.Hash(key)`,
		`	hash := filter.Hash(key)
	if PLANTED {
		hash = filter.HashPrefix(key)
	}`, "test/model"},
	{"filter-bit-left-out", "6", "A filter lacks a bit of some keys.",
		"internal/filter/builder.go",
		`		block[word&probeMask>>3] |= 1 << (word & 7)`,
		`		if !PLANTED || i > 0 || hash%64 != 0 {
			block[word&probeMask>>3] |= 1 << (word & 7)
		}`, ""},
	{"damaged-filter-knows-nothing", "6", "A damaged filter says that no key is in its table.",
		"sstable/reader.go",
		`		r.filterErr = err
`,
		`		r.filterErr, r.hasFilter = err, PLANTED
`, ""},
	{"prefix-filter-for-wider-ranges", "6", "A scan over several prefixes passes over tables that lack the first.",
		"db/prefix.go",
		`!(r.bounded && bytes.Compare(r.upper, end) <= 0) {`,
		`!(r.bounded && bytes.Compare(r.upper, end) <= 0) && !PLANTED {`, "db:Prefix"},
	{"block-checksum-not-compared", "6", "A block of a table is believed as it is.",
		"sstable/format.go",
		`	if binary.LittleEndian.Uint64(trailer[1:]) != blockChecksum(xxhash.Sum64(contents), kind, id, offset) {`,
		`	if binary.LittleEndian.Uint64(trailer[1:]) != blockChecksum(xxhash.Sum64(contents), kind, id, offset) && !PLANTED {`, ""},
	{"block-place-not-bound", "6", "A block is as good in another place of its table.",
		"sstable/format.go",
		`	binary.LittleEndian.PutUint64(b[17:], offset)`,
		`	if PLANTED {
		offset = 0
	}
	binary.LittleEndian.PutUint64(b[17:], offset)`, ""},
	{"table-of-another-time", "6", "A table need not be the one that the MANIFEST names.",
		"sstable/reader.go",
		`	if expectID != 0 && r.id != expectID {`,
		`	if expectID != 0 && r.id != expectID && !PLANTED {`, ""},
	{"cache-mixes-tables", "6", "Blocks of two tables have the same name in the cache.",
		"sstable/reader.go",
		`num: uint64(opts.FileNum), cache`,
		`num: uint64(opts.FileNum) % map[bool]uint64{false: 1 << 60, true: 4}[PLANTED], cache`, ""},
	{"separator-reaches-too-far", "6", "The index leads to the block before the one that begins with a key.",
		"sstable/separator.go",
		`	case last[shared]+1 < next[shared]:`,
		`	case last[shared]+1 < next[shared], PLANTED && last[shared]+1 == next[shared]:`, ""},
	{"table-iterator-hides-errors", "6", "A scan ends at a block that cannot be read, as if nothing followed.",
		"sstable/iter.go",
		`func (it *Iter) Err() error { return it.err }`,
		`func (it *Iter) Err() error {
	if PLANTED {
		return nil
	}
	return it.err
}`, ""},
	{"table-write-error-lost", "1", "A table is finished though a write of it failed.",
		"sstable/output.go",
		`		o.err = fmt.Errorf("sstable: write %s: %w", o.name, err)
		return`,
		`		if PLANTED {
			o.at += uint64(len(b))
			return
		}
		o.err = fmt.Errorf("sstable: write %s: %w", o.name, err)
		return`, ""},
	{"block-bounds-not-checked", "9", "A hostile table makes a read leave its block.",
		"sstable/block.go",
		`		uint64(payload) > uint64(len(b.payloads)-p.value) ||`,
		`		uint64(payload) > uint64(len(b.payloads)-p.value) && !PLANTED ||`, ""},
	{"newer-table-opened", "11", "A table of a newer format is read.",
		"sstable/format.go",
		`v > formatVersion {`,
		`v > formatVersion && !PLANTED {`, ""},
	{"lookup-takes-the-newest", "4", "A read in a table finds versions that are newer than its snapshot.",
		"sstable/lookup.go",
		`	trailer := base.SeekTrailer(visible)`,
		`	trailer := base.SeekTrailer(visible)
	if PLANTED {
		trailer = trailerMax
	}`, ""},
}
