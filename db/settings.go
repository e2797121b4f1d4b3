package db

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
	"unicode/utf8"

	"github.com/cordwood-db/cordwood/compaction"
	"github.com/cordwood-db/cordwood/manifest"
)

// KeyspaceOptions are the settings of a keyspace. A field that is zero keeps
// what the keyspace had, and for a new one means what Options says.
type KeyspaceOptions struct {
	// Merge is the operator behind Merge, as in Options.
	Merge MergeOperator
	// CompactionFilter, as in Options.
	CompactionFilter CompactionFilter
	// Prefix, as in Options.
	Prefix PrefixExtractor

	// DefaultTTL is the time to live of what Put writes. Negative: for ever.
	// PutTTL says its own.
	DefaultTTL time.Duration
	// BlockBytes, ValueThreshold, FilterBitsPerKey and Compression, as in
	// Options.
	BlockBytes       int
	ValueThreshold   int
	FilterBitsPerKey float64
	Compression      Compression

	// MustExist makes opening fail with ErrNoKeyspace instead of making one.
	MustExist bool
}

// CompactionFilter decides, while tables are merged, which values are kept. See
// the interface's own comment for its rules.
type CompactionFilter = compaction.Filter

// What a CompactionFilter is given and gives back.
type (
	// FilterRun tells of the merge that a filter is asked for.
	FilterRun = compaction.FilterRun
	// FilterFunc judges the entries of one merge, in the order of keys.
	FilterFunc = compaction.FilterFunc
	// FilterEntry is an entry to judge.
	FilterEntry = compaction.FilterEntry
	// FilterDecision is what becomes of an entry.
	FilterDecision = compaction.Decision
)

// What becomes of an entry.
const (
	// FilterKeep leaves it.
	FilterKeep = compaction.Keep
	// FilterDrop deletes it.
	FilterDrop = compaction.Drop
	// FilterChange gives it the value in FilterEntry.Replace.
	FilterChange = compaction.Change
)

// settings are what is in force for a keyspace. Immutable.
type settings struct {
	stored storedSettings

	merge  MergeOperator
	filter CompactionFilter
	prefix PrefixExtractor // nil: none

	prefixName  string        // of prefix
	ttl         time.Duration // 0: none
	blockBytes  int
	threshold   int
	filterBits  float64
	compression Compression
}

// mainSettings are those of the default keyspace.
func (db *DB) mainSettings() *settings {
	o := &db.opts
	return db.newSettings(storedSettings{}, &KeyspaceOptions{
		Merge: o.Merge, CompactionFilter: o.CompactionFilter, Prefix: o.Prefix})
}

// newSettings puts together what is stored, what cannot be, and what the store
// says where nothing is set.
func (db *DB) newSettings(stored storedSettings, o *KeyspaceOptions) *settings {
	s := &settings{stored: stored, merge: o.Merge, filter: o.CompactionFilter, prefix: o.Prefix,
		ttl: max(stored.ttl, 0), blockBytes: db.opts.BlockBytes, threshold: db.opts.ValueThreshold,
		filterBits: db.opts.FilterBitsPerKey, compression: db.opts.Compression}
	if s.prefix != nil {
		s.prefixName = s.prefix.Name()
	}
	if stored.blockBytes != 0 {
		s.blockBytes = stored.blockBytes
	}
	if stored.threshold != 0 {
		s.threshold = thresholdOf(stored.threshold)
	}
	if stored.filterBits != 0 {
		s.filterBits = max(stored.filterBits, 0)
	}
	if stored.compression != 0 {
		s.compression = stored.compression
	}
	return s
}

// thresholdOf turns a ValueThreshold into a length.
func thresholdOf(option int) int {
	if option < 0 {
		return MaxValueBytes + 1
	}
	return option
}

// storedSettings are the settings that were given for a keyspace, 0 where
// none was. They are stored in the MANIFEST.
type storedSettings struct {
	ttl         time.Duration
	blockBytes  int
	threshold   int
	filterBits  float64
	compression Compression
}

// with replaces what is set in o.
func (s storedSettings) with(o *KeyspaceOptions) storedSettings {
	replace(&s.ttl, o.DefaultTTL)
	replace(&s.blockBytes, o.BlockBytes)
	replace(&s.threshold, o.ValueThreshold)
	replace(&s.filterBits, o.FilterBitsPerKey)
	replace(&s.compression, o.Compression)
	return s
}

func replace[T comparable](field *T, value T) {
	var zero T
	if value != zero {
		*field = value
	}
}

// The settings of a keyspace in the MANIFEST: a run of fields, each a tag and a
// value, both uvarints; signed values in zigzag encoding. Part of the file
// format; see docs/format/manifest.md. A reader refuses tags that it does not
// know.
const (
	settingTTL         = 1 // nanoseconds, signed
	settingBlockBytes  = 2
	settingThreshold   = 3 // bytes, signed
	settingFilterBits  = 4 // bits of an IEEE 754 double
	settingCompression = 5
)

// encode is never nil.
func (s storedSettings) encode() []byte {
	b := []byte{}
	field := func(tag, value uint64) {
		if value != 0 {
			b = binary.AppendUvarint(binary.AppendUvarint(b, tag), value)
		}
	}
	field(settingTTL, zigzag(int64(s.ttl)))
	field(settingBlockBytes, uint64(s.blockBytes))
	field(settingThreshold, zigzag(int64(s.threshold)))
	field(settingFilterBits, math.Float64bits(s.filterBits))
	field(settingCompression, uint64(s.compression))
	return b
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

// Errors of decodeSettings.
var (
	errSettings      = errors.New("malformed settings")
	errNewerSettings = errors.New("unknown settings") // only newer software writes them
)

func decodeSettings(b []byte) (s storedSettings, err error) {
	for len(b) > 0 {
		tag, n := binary.Uvarint(b)
		if n <= 0 {
			return s, errSettings
		}
		value, m := binary.Uvarint(b[n:])
		if m <= 0 {
			return s, errSettings
		}
		b = b[n+m:]
		switch tag {
		case settingTTL:
			s.ttl = time.Duration(unzigzag(value))
		case settingBlockBytes:
			s.blockBytes = int(min(value, math.MaxInt32)) // too large, and told so
		case settingThreshold:
			s.threshold = int(unzigzag(value))
			if int64(s.threshold) != unzigzag(value) {
				return s, errSettings
			}
		case settingFilterBits:
			s.filterBits = math.Float64frombits(value)
		case settingCompression:
			if value > uint64(compressionMax) {
				return s, fmt.Errorf("%w: compression %d", errNewerSettings, value)
			}
			s.compression = Compression(value)
		default:
			return s, fmt.Errorf("%w: tag %d", errNewerSettings, tag)
		}
	}
	o := KeyspaceOptions{BlockBytes: s.blockBytes, ValueThreshold: s.threshold,
		FilterBitsPerKey: s.filterBits, Compression: s.compression}
	if err := o.check(); err != nil {
		return s, fmt.Errorf("%w: %w", errSettings, err)
	}
	return s, nil
}

// badSettings gives an error of decodeSettings its public face.
func badSettings(manifestName, keyspace string, err error) error {
	if errors.Is(err, errNewerSettings) {
		return fmt.Errorf("keyspace %q: %w: %w", keyspace, err, manifest.NewerFormat(manifestName))
	}
	return &CorruptionError{File: manifestName, Offset: -1, Reason: fmt.Sprintf("settings of keyspace %q", keyspace), Err: err}
}

// check looks for values that make no sense.
func (o *KeyspaceOptions) check() error {
	switch {
	case o.BlockBytes < 0 || o.BlockBytes > 16*mib:
		return fmt.Errorf("%w: BlockBytes %d is not in 1..16 MiB", errOptions, o.BlockBytes)
	case !(o.FilterBitsPerKey <= 64):
		return fmt.Errorf("%w: FilterBitsPerKey %g is over 64", errOptions, o.FilterBitsPerKey)
	case o.Compression > compressionMax:
		return fmt.Errorf("%w: Compression %d is unknown", errOptions, o.Compression)
	}
	return nil
}

// checkKeyspaceName checks the name of a keyspace that is not the default one.
func checkKeyspaceName(name string) error {
	if name == "" || len(name) > KeyspaceNameBytesMax || !utf8.ValidString(name) {
		return fmt.Errorf("%w: keyspace name %q is not 1 to %d bytes of UTF-8", errOptions, name, KeyspaceNameBytesMax)
	}
	return nil
}
