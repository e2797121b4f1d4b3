package result

import "time"

// Format is the version of the file that a Writer writes.
const Format = 1

// Run is one invocation of kvbench.
type Run struct {
	Header
	Phases []Phase
	// Footer is nil if the run was cut off.
	Footer *Footer
}

// Header is what is known before anything is measured.
type Header struct {
	Format  int       `json:"kvbench_format"`
	Started time.Time `json:"started"`
	Command []string  `json:"command"` // the program's arguments
	Title   string    `json:"title,omitempty"`
	Machine Machine   `json:"machine"`
	Engines []Engine  `json:"engines"`
	Sets    []Set     `json:"sets"`
	Rounds  int       `json:"rounds"`
	Threads int       `json:"threads"`
	Sync    bool      `json:"sync"`
	Cold    bool      `json:"cold"`
	Verify  bool      `json:"verify"`
	Seed    uint64    `json:"seed"`
	Rate    float64   `json:"rate,omitempty"` // operations per second due in sum; 0: closed loop
	// Budget is what every engine could use alike; nil in runs that do not tell.
	Budget *Budget `json:"budget,omitempty"`
}

// Budget is the memory that each engine was given, and how it was to use it.
type Budget struct {
	MemtableBytes int64  `json:"memtable_bytes"` // of one memtable
	MemtablesMax  int    `json:"memtables_max"`
	CacheBytes    int64  `json:"cache_bytes"` // of cached blocks, filters and indexes
	FilterBits    int    `json:"filter_bits"` // for each key
	Compression   string `json:"compression"`
}

// Machine notes where a run was measured. Empty or zero: not known.
type Machine struct {
	OS          string  `json:"os"`
	Arch        string  `json:"arch"`
	Kernel      string  `json:"kernel"`
	CPU         string  `json:"cpu"`
	Processors  int     `json:"processors"` // that the process may use
	MemoryBytes int64   `json:"memory_bytes"`
	Dir         string  `json:"dir"`
	FileSystem  string  `json:"file_system"` // of Dir, such as "ext4"
	Device      string  `json:"device"`
	FreeBytes   int64   `json:"free_bytes"`   // of the file system
	FsyncP50NS  int64   `json:"fsync_p50_ns"` // of a 4 KiB append and its fsync
	FsyncP99NS  int64   `json:"fsync_p99_ns"`
	GoVersion   string  `json:"go_version"`
	Load        float64 `json:"load"` // average of the last minute, before the run
}

// Engine is one engine of a run.
type Engine struct {
	Name     string    `json:"name"` // unique in the run: "cordwood", or "cordwood@./old" of another program
	Title    string    `json:"title"`
	Version  string    `json:"version"`
	Program  string    `json:"program,omitempty"` // the file that ran it, if not this program
	Settings []Setting `json:"settings"`
}

// Setting is one choice of an engine's adapter.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Why   string `json:"why"`
}

// Set is one shape of data.
type Set struct {
	Name            string  `json:"name"`
	Keys            int     `json:"keys"`
	KeyBytes        int     `json:"key_bytes"`
	Values          string  `json:"values"`           // as given, such as "1KiB" or "100..2000"
	ValueBytesMean  float64 `json:"value_bytes_mean"` // by the definition
	Compressibility float64 `json:"compressibility"`  // compressed length by length, about; 0: not known
}

// Phase is one workload on one set of one engine in one round.
type Phase struct {
	Engine   string    `json:"engine"`
	Set      string    `json:"set"`
	Workload string    `json:"workload"`
	Round    int       `json:"round"` // from 1
	Started  time.Time `json:"started"`
	Threads  int       `json:"threads"`
	Rate     float64   `json:"rate,omitempty"` // due per second; 0: closed loop
	// Shape is that of the data if the workload has one of its own, instead of the
	// set's.
	Shape *Set `json:"shape,omitempty"`

	// Skipped is why the phase was not run, such as "needs TTL"; then nothing
	// below is set. Failed is why it ended early: an error, a wrong answer.
	Skipped string `json:"skipped,omitempty"`
	Failed  string `json:"failed,omitempty"`
	Wrong   bool   `json:"wrong,omitempty"`   // Failed is a wrong answer of the engine
	Partial bool   `json:"partial,omitempty"` // interrupted: what there was until then
	// Notes are what a reader must know to understand the figures.
	Notes []string `json:"notes,omitempty"`

	Seconds       float64 `json:"seconds"` // of the operations, without warm-up and settling
	WarmupSeconds float64 `json:"warmup_seconds,omitempty"`
	SettleSeconds float64 `json:"settle_seconds,omitempty"`
	Operations    uint64  `json:"operations"`
	Verified      uint64  `json:"verified"`             // answers that were checked, all right
	Bytes         uint64  `json:"bytes"`                // of keys and values, read and written
	UserBytes     uint64  `json:"user_bytes,omitempty"` // of keys and values, written
	LiveBytes     uint64  `json:"live_bytes,omitempty"` // of keys and values in the store at the end
	Retries       uint64  `json:"retries,omitempty"`    // of transactions
	Kinds         []Kind  `json:"kinds"`

	Costs    Costs    `json:"costs"`
	Timeline []Second `json:"timeline,omitempty"`
	Stalls   []Stall  `json:"stalls,omitempty"`
	// CacheResident is the part of the store's files that the operating system
	// still had in memory when a cold phase began; nil: not a cold phase, or not known.
	CacheResident *float64           `json:"cache_resident,omitempty"`
	Counters      map[string]float64 `json:"counters,omitempty"` // of the engine's own: what they grew by
	// SpeedNS is what a fixed piece of processor and memory work took just
	// before the phase: how fast the machine was then.
	SpeedNS int64 `json:"speed_ns"`
}

// Costs are what the whole process spent on a phase, settling included: engine,
// its background work, the Go runtime, and the client. Zero: not known.
type Costs struct {
	CPUNS          int64   `json:"cpu_ns"`
	Allocations    uint64  `json:"allocations"`
	AllocatedBytes uint64  `json:"allocated_bytes"`
	PeakBytes      int64   `json:"peak_bytes"`       // resident memory
	ClientBytes    int64   `json:"client_bytes"`     // of PeakBytes, resident before the store was opened
	DiskBytes      int64   `json:"disk_bytes"`       // allocated to the store's files at the end
	WrittenBytes   int64   `json:"written_bytes"`    // that went to the storage, in whole pages, memory maps included
	ReadBytes      int64   `json:"read_bytes"`       // that came from the storage
	WriteCalls     int64   `json:"write_call_bytes"` // passed to write system calls
	ReadCalls      int64   `json:"read_call_bytes"`
	VerifyNS       float64 `json:"verify_ns_per_op"`  // of the client, sampled: checking answers
	PrepareNS      float64 `json:"prepare_ns_per_op"` // of the client, sampled: keys and values
}

// Kind is one kind of operation in a phase.
type Kind struct {
	Name       string `json:"name"` // such as "read", "update"
	Class      Class  `json:"class"`
	Operations uint64 `json:"operations"`
	NotFound   uint64 `json:"not_found,omitempty"` // rightly
	Items      uint64 `json:"items"`               // entries read or written: more than operations for scans and batches
	// Latency is from when an operation was due, in an open loop, or began.
	Latency Histogram `json:"latency"`
	// Service is from when it began; nil in a closed loop, where it is the same.
	Service *Histogram `json:"service,omitempty"`
}

// Class is what objectives can be set for beside single kinds.
type Class string

// The classes.
const (
	Read  Class = "read"
	Write Class = "write"
	Scan  Class = "scan"
	Tx    Class = "tx"
)

// Second is one second of a phase; the last may be shorter.
type Second struct {
	At         float64 `json:"t"` // its end, from the beginning of the phase
	Operations uint64  `json:"ops"`
	P50NS      int64   `json:"p50_ns"`
	P99NS      int64   `json:"p99_ns"`
	MaxNS      int64   `json:"max_ns"`
}

// Stall is a stretch of more than 100 ms in which no operation ended.
type Stall struct {
	At      float64 `json:"t"`
	Seconds float64 `json:"seconds"`
	Busy    string  `json:"busy,omitempty"` // what the engine said that held writers back
}

// Footer ends a complete file.
type Footer struct {
	Ended   time.Time `json:"ended"`
	Partial bool      `json:"partial,omitempty"` // interrupted, or a phase failed
	Error   string    `json:"error,omitempty"`
}
