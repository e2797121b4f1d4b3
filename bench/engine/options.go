package engine

// Compression is how an engine compresses its blocks.
type Compression string

// The compressions. CompressionDefault is what the engine's documentation
// advises or defaults to.
const (
	CompressionDefault Compression = "default"
	CompressionNone    Compression = "none"
)

// Options are what is equal for all engines in a run.
type Options struct {
	// Dir is the store's folder. It exists; it is empty for a new store.
	Dir string
	// MemtableBytes is the size of one memtable, and MemtablesMax how many there
	// may be, the one that takes writes included.
	MemtableBytes int64
	MemtablesMax  int
	// CacheBytes is for cached blocks, filters and indexes together. An engine
	// that reads through the operating system's page cache instead has it too.
	CacheBytes int64
	// FilterBits is the size of filters in bits for each key; 0: no filters.
	FilterBits int
	// Compression of blocks.
	Compression Compression
	// Sync: a commit returns when it survives power loss. Otherwise it has to
	// survive the death of the process, and no more.
	Sync bool
	// Threads is how many goroutines will use the store at once: a hint.
	Threads int
	// Keys, KeyBytes and ValueBytes tell what will be stored, about: a hint for
	// choices that the engine's documentation makes depend on them.
	Keys, KeyBytes, ValueBytes int
}

// DefaultOptions are those of a run without flags: 64 MiB for each of four
// memtables, 256 MiB of cache, filters of 10 bits a key.
func DefaultOptions() Options {
	return Options{MemtableBytes: 64 << 20, MemtablesMax: 4, CacheBytes: 256 << 20, FilterBits: 10,
		Compression: CompressionDefault, Threads: 2}
}
