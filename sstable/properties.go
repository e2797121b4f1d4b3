package sstable

import (
	"encoding/binary"
	"maps"
	"math"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/compress"
)

// Meta is what the version set needs to know about a table.
type Meta struct {
	Size uint64 // of the file, in bytes
	ID   uint64 // the table ID

	Keyspace uint32 // that the table belongs to

	// Smallest and Largest are the bounds of all user keys, those of range
	// tombstones included. Both are nil in an empty table. Largest is part of
	// the range unless LargestIsExclusive: it then is only the end of a range
	// tombstone.
	Smallest, Largest  []byte
	LargestIsExclusive bool

	// SeqMin and SeqMax span entries and range tombstones.
	SeqMin, SeqMax base.SeqNum

	Entries   uint64 // all but range tombstones
	Deletes   uint64 // of them, deletes
	Merges    uint64 // of them, merge operands
	RangeDels uint64 // sequence numbers of all range tombstone fragments

	KeyBytes   uint64 // user keys of all entries
	ValueBytes uint64 // payloads of all entries
	VlogBytes  uint64 // sum of Pointer.Size over all entries that point

	Expiring             uint64 // entries with an expiry
	ExpiryMin, ExpiryMax uint64 // over them; 0 if there are none
}

// Properties is what a table says about itself.
type Properties struct {
	Meta

	Chunks      uint64
	DataBlocks  uint64
	RawBytes    uint64 // contents of all data blocks
	StoredBytes uint64 // data blocks as stored
	FilterKeys  uint64 // distinct user keys in the filter
	Compression compress.Kind

	// PrefixExtractor is the name of the extractor whose prefixes the filter
	// holds too, "" if there is none.
	PrefixExtractor string
	FilterPrefixes  uint64 // distinct prefixes in the filter

	// Vlogs is how many bytes of records entries point at, by logical
	// value-log file. nil if there are none.
	Vlogs map[base.FileNum]uint64
}

// Part of the file format: the properties are fields, each a uvarint tag, a
// uvarint length and that many bytes. Numbers are uvarints. Unknown tags are
// passed over; absent numbers are 0.
const (
	propSmallest = iota + 1
	propLargest
	propLargestIsExclusive
	propSeqMin
	propSeqMax
	propEntries
	propDeletes
	propMerges
	propRangeDels
	propKeyBytes
	propValueBytes
	propVlogBytes
	propExpiring
	propExpiryMin
	propExpiryMax
	propChunks
	propDataBlocks
	propRawBytes
	propStoredBytes
	propFilterKeys
	propCompression
	propVlogs    // pairs of uvarints: logical file, bytes; files ascend
	propKeyspace // absent in tables from before there were keyspaces
	propPrefixExtractor
	propFilterPrefixes
)

// number is a numeric field of Properties.
type number struct {
	tag uint64
	v   *uint64
}

func (p *Properties) numbers() []number {
	return []number{
		{propSeqMin, (*uint64)(&p.SeqMin)}, {propSeqMax, (*uint64)(&p.SeqMax)},
		{propEntries, &p.Entries}, {propDeletes, &p.Deletes}, {propMerges, &p.Merges},
		{propRangeDels, &p.RangeDels}, {propKeyBytes, &p.KeyBytes},
		{propValueBytes, &p.ValueBytes}, {propVlogBytes, &p.VlogBytes},
		{propExpiring, &p.Expiring}, {propExpiryMin, &p.ExpiryMin}, {propExpiryMax, &p.ExpiryMax},
		{propChunks, &p.Chunks}, {propDataBlocks, &p.DataBlocks}, {propRawBytes, &p.RawBytes},
		{propStoredBytes, &p.StoredBytes}, {propFilterKeys, &p.FilterKeys},
		{propFilterPrefixes, &p.FilterPrefixes},
	}
}

// append appends the encoded properties to dst. Size and ID are the footer's.
func (p *Properties) append(dst []byte) []byte {
	if p.Smallest != nil {
		dst = appendField(dst, propSmallest, p.Smallest)
		dst = appendField(dst, propLargest, p.Largest)
	}
	if p.LargestIsExclusive {
		dst = appendNumber(dst, propLargestIsExclusive, 1)
	}
	for _, n := range p.numbers() {
		if *n.v != 0 {
			dst = appendNumber(dst, n.tag, *n.v)
		}
	}
	dst = appendNumber(dst, propCompression, uint64(p.Compression))
	if p.Keyspace != 0 {
		dst = appendNumber(dst, propKeyspace, uint64(p.Keyspace))
	}
	if p.PrefixExtractor != "" {
		dst = appendField(dst, propPrefixExtractor, []byte(p.PrefixExtractor))
	}
	if len(p.Vlogs) > 0 {
		var b []byte
		for _, file := range slices.Sorted(maps.Keys(p.Vlogs)) {
			b = binary.AppendUvarint(b, uint64(file))
			b = binary.AppendUvarint(b, p.Vlogs[file])
		}
		dst = appendField(dst, propVlogs, b)
	}
	return dst
}

func appendField(dst []byte, tag uint64, b []byte) []byte {
	dst = binary.AppendUvarint(dst, tag)
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

func appendNumber(dst []byte, tag, v uint64) []byte {
	var b [binary.MaxVarintLen64]byte
	return appendField(dst, tag, b[:binary.PutUvarint(b[:], v)])
}

// decodeProperties undoes append. The result shares no memory with b.
func decodeProperties(b []byte) (p Properties, ok bool) {
	numbers := p.numbers()
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return p, false
		}
		length, m := binary.Uvarint(b[n:])
		if m <= 0 || length > uint64(len(b)-n-m) {
			return p, false
		}
		field := b[n+m:][:length]
		b = b[n+m:][length:]
		if !p.decodeField(tag, field, numbers) {
			return p, false
		}
	}
	return p, (p.Smallest == nil) == (p.Largest == nil) && p.SeqMax <= base.SeqNumMax
}

func (p *Properties) decodeField(tag uint64, field []byte, numbers []number) bool {
	switch tag {
	case propSmallest:
		p.Smallest = append([]byte{}, field...)
		return true
	case propLargest:
		p.Largest = append([]byte{}, field...)
		return true
	case propPrefixExtractor:
		p.PrefixExtractor = string(field)
		return true
	case propVlogs:
		return p.decodeVlogs(field)
	}
	v, n := binary.Uvarint(field)
	numeric := n > 0 && n == len(field)
	switch tag {
	case propLargestIsExclusive:
		p.LargestIsExclusive = v != 0
		return numeric
	case propCompression:
		p.Compression = compress.Kind(v)
		return numeric
	case propKeyspace:
		p.Keyspace = uint32(v)
		return numeric && v <= math.MaxUint32
	}
	for _, known := range numbers {
		if known.tag == tag {
			*known.v = v
			return numeric
		}
	}
	return true
}

func (p *Properties) decodeVlogs(b []byte) bool {
	p.Vlogs = make(map[base.FileNum]uint64)
	for len(b) > 0 {
		file, n := binary.Uvarint(b)
		if n <= 0 {
			return false
		}
		bytes, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return false
		}
		p.Vlogs[base.FileNum(file)] = bytes
		b = b[n+m:]
	}
	return true
}

// clone returns a copy that shares no memory with p.
func (p *Properties) clone() Properties {
	c := *p
	c.Smallest, c.Largest = slices.Clone(p.Smallest), slices.Clone(p.Largest)
	c.Vlogs = maps.Clone(p.Vlogs)
	return c
}
