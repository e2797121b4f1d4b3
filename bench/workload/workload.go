package workload

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// Workload describes a kind of work. All that defines it is in its fields, so
// that it goes to another process as JSON. Immutable once in use.
type Workload struct {
	Name    string `json:"name"`
	Group   string `json:"group"`
	Summary string `json:"summary"` // one line

	Needs engine.Ability `json:"needs,omitempty"`
	// Fresh: it starts on an empty store. Loaded: it needs the data there, as the
	// workload that Load names leaves it.
	Fresh  bool   `json:"fresh,omitempty"`
	Loaded bool   `json:"loaded,omitempty"`
	Load   string `json:"load,omitempty"`
	// Writes: the store is settled after it, and what it cost to write is reported.
	Writes bool `json:"writes,omitempty"`
	// Sync: the store is open with engine.Options.Sync, whatever the others have.
	Sync bool `json:"sync,omitempty"`
	// Special is what package run does itself; empty for what New can make.
	Special Special `json:"special,omitempty"`
	// Entries: an operation reads a run of entries between two readings of the
	// clock, and what counts is Outcome.Items, not operations.
	Entries bool `json:"entries,omitempty"`

	Program Program `json:"program,omitempty"`
	// Of the mix. Shares need not sum to 1.
	Shares  []Share  `json:"shares,omitempty"`
	Chooser string   `json:"chooser,omitempty"` // as in ParseChooser
	Fill    bool     `json:"fill,omitempty"`    // records are those that will be there, not those that are
	Hashed  bool     `json:"hashed,omitempty"`  // with Fill: records are spread over the keys by a hash
	Beside  []Beside `json:"beside,omitempty"`
	Scan    string   `json:"scan,omitempty"`     // lengths of scans, as in ParseLengths
	Between bool     `json:"between,omitempty"`  // scans begin at missing keys as often as at present ones
	Batch   int      `json:"batch,omitempty"`    // writes in a batch
	Multi   int      `json:"multiget,omitempty"` // keys of a multiread
	TTL     Duration `json:"ttl,omitempty"`

	// Operations is how many there are by default.
	Operations Amount `json:"operations"`

	// The shape of data that it is made for; zero: any. See DataFor.
	Values          string   `json:"values,omitempty"`
	Keys            int      `json:"keys,omitempty"`
	KeyBytes        int      `json:"key_bytes,omitempty"`
	Compressibility *float64 `json:"compressibility,omitempty"`
}

// Special is a workload that takes more than a Source on an open store.
type Special string

// The special workloads.
const (
	BulkLoad   Special = "bulkload"   // fill through engine.BulkLoader, with a Loader
	OpenClean  Special = "openclean"  // open a store that was closed
	OpenKilled Special = "openkilled" // open a store whose process was killed, with a Victim
)

// Program is how the clients of a workload work.
type Program string

// The programs.
const (
	Mix      Program = ""         // operations drawn by their shares
	Walk     Program = "walk"     // scans of everything upwards
	WalkDown Program = "walkdown" // and downwards
	Bank     Program = "bank"     // transfers between accounts
	Counters Program = "counters" // increments of a few hot counters
)

// Op is a kind of operation.
type Op string

// The kinds of operations.
const (
	Read         Op = "read"            // get a chosen key
	ReadMissing  Op = "readmissing"     // get a key that is not there, next to a chosen one
	MultiRead    Op = "multiread"       // get several chosen keys in one call
	Put          Op = "put"             // put a chosen key
	Update       Op = "update"          // the same, of a key that is there
	Insert       Op = "insert"          // put a new record
	ReadModify   Op = "readmodifywrite" // get a chosen key, then put it
	BatchPut     Op = "batch"           // put several chosen keys atomically
	Delete       Op = "delete"          // delete a chosen key
	MergeOperand Op = "merge"           // append to the value of a chosen key
	PutTTL       Op = "putttl"          // put a chosen key with a time to live
	Scan         Op = "scan"            // seek a chosen key and read entries upwards
	ReverseScan  Op = "reversescan"     // and downwards
	Collect      Op = "collect"         // ask for garbage collection; beside others only
)

// Share is how often an operation is drawn, compared to the others.
type Share struct {
	Op     Op      `json:"op"`
	Weight float64 `json:"weight"`
}

// Beside is one more client, which works to a timetable until the others end.
type Beside struct {
	Op      Op      `json:"op"`
	Rate    float64 `json:"rate"` // per second
	Chooser string  `json:"chooser,omitempty"`
}

// Amount is a number of operations that grows with the number of keys.
type Amount struct {
	PerKey float64 `json:"per_key,omitempty"`
	Min    uint64  `json:"min,omitempty"`
	Max    uint64  `json:"max,omitempty"` // 0: no limit
}

// The groups, in the order in which they are listed.
var groups = []string{"db_bench", "YCSB", "production", "space", "transactions", "open", "own"}

// Of is the amount for a number of keys; at least 1.
func (a Amount) Of(keys int) uint64 {
	n := max(uint64(a.PerKey*float64(keys)), a.Min, 1)
	if a.Max > 0 {
		n = min(n, a.Max)
	}
	return n
}

// All lists the workloads by group, those of db_bench first. The slice is the
// caller's, the workloads are not.
func All() []*Workload { return slices.Clone(catalog) }

// Find returns the workload of a name.
func Find(name string) (*Workload, bool) {
	for _, w := range catalog {
		if w.Name == name {
			return w, true
		}
	}
	return nil, false
}

// Standard lists what is run if nothing else is asked for, in this order.
func Standard() []*Workload {
	var list []*Workload
	for _, name := range []string{"fillseq", "fillrandom", "overwrite", "readrandom", "readmissing",
		"readseq", "readreverse", "seekrandom", "readwhilewriting"} {
		if w, ok := Find(name); ok {
			list = append(list, w)
		}
	}
	return list
}

// Ready tells whether the store that m describes has the data that w needs. If
// not, an empty store has to be filled with the workload that w.Load names.
func (w *Workload) Ready(m *Model) bool {
	if !w.Loaded {
		return true
	}
	load, ok := Find(w.Load)
	hashed := ok && load.Hashed
	live, _ := m.Live()
	return m.hashed.Load() == hashed && m.Records() >= m.data.Keys && live >= m.data.Keys && m.expires == nil
}

// DataFor is the shape of data that w runs on in a set: the set's own, or a copy
// with what w asks for instead. It returns set itself if w asks for nothing, and
// else needs a store and a Model of its own.
func (w *Workload) DataFor(set *Data) (*Data, error) {
	if w.Values == "" && w.Keys == 0 && w.KeyBytes == 0 && w.Compressibility == nil {
		return set, nil
	}
	d := *set
	if w.Values != "" {
		sizes, err := ParseSizes(w.Values)
		if err != nil {
			return nil, err
		}
		d.Sizes = sizes
		if w.Keys == 0 {
			// About as many bytes as the set has.
			total := float64(set.Keys) * (set.Sizes.Mean() + float64(set.KeyBytes))
			d.Keys = int(max(ownKeysMin, min(float64(KeysMax/2), total/(sizes.Mean()+float64(set.KeyBytes)))))
		}
	}
	if w.Keys != 0 {
		d.Keys = w.Keys
	}
	if w.KeyBytes != 0 {
		d.KeyBytes = w.KeyBytes
	}
	if w.Compressibility != nil {
		d.Compressibility = *w.Compressibility
	}
	d.Capacity = int(float64(d.Keys) * (float64(set.Capacity) / float64(set.Keys)))
	return &d, d.Check()
}

// ownKeysMin is how many keys there are at least if the lengths of values are a
// workload's own.
const ownKeysMin = 64

// workloadJSON has the fields of Workload without its methods.
type workloadJSON Workload

// UnmarshalJSON reads what json.Marshal makes of a Workload, and checks it.
func (w *Workload) UnmarshalJSON(text []byte) error {
	var j workloadJSON
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("decoding a workload: %w", err)
	}
	*w = Workload(j)
	return w.check()
}
