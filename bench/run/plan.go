package run

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// Plan is what a run does. It is read only once Execute has it.
type Plan struct {
	Title   string
	Command []string // the program's arguments, for the record
	// Dir is an existing folder that only this run uses: stores live below it.
	Dir string
	// Keep leaves the stores where they are.
	Keep bool

	Engines   []EngineRef
	Sets      []Set
	Workloads []*workload.Workload // in this order, on each set
	Rounds    int

	Settings
	// CPUProfile and MemProfile name files for profiles of the children. With
	// more than one child, the engine, the set and the round go before the
	// extension.
	CPUProfile, MemProfile string
}

// Settings are what is the same for every phase of a run.
type Settings struct {
	// Options are for all engines; Dir, Sync, Keys, KeyBytes and ValueBytes are
	// set for each store.
	Options engine.Options `json:"options"`

	Threads int    `json:"threads"`
	Seed    uint64 `json:"seed"`
	Sync    bool   `json:"sync"`
	Cold    bool   `json:"cold"`   // phases on data that is there begin with an empty page cache
	Verify  bool   `json:"verify"` // check every answer

	// Operations is how many each phase does; 0: as many as the workload says.
	Operations uint64 `json:"operations"`
	// Duration is how long each phase takes that does not fill an empty store; 0:
	// until its operations are done.
	Duration time.Duration `json:"duration"`
	// ReadLimit ends phases that only read, whatever they have done; 0: never.
	ReadLimit time.Duration `json:"read_limit"`
	// Warmup is how long phases work before they are measured. Those that begin
	// with an empty store have none.
	Warmup time.Duration `json:"warmup"`
	// Rate makes an open loop: so many operations are due in a second, of all
	// clients together; 0: a closed loop. Poisson spaces them at random.
	Rate    float64 `json:"rate"`
	Poisson bool    `json:"poisson"`
	// WriteRate is that of the writer beside readers.
	WriteRate float64 `json:"write_rate"`

	// Of the workloads that use them; 0: the workload's own.
	BatchSize   int `json:"batch_size"`
	ScanEntries int `json:"scan_entries"`
	MultiGet    int `json:"multi_get"`

	// Replay is for a run of a recorded trace instead of workloads.
	Replay *Replay `json:"replay,omitempty"`
}

// Replay says how a trace is replayed.
type Replay struct {
	Path  string  `json:"path"`
	Speed float64 `json:"speed"` // 1: as recorded; 0: as fast as possible
}

// EngineRef names an engine of a run.
type EngineRef struct {
	Name string
	// Program is the kvbench that has it, as a path; empty: this one.
	Program string
}

// String is how results call it: the name, and the program if it is another one.
func (e EngineRef) String() string {
	if e.Program == "" {
		return e.Name
	}
	return e.Name + "@" + e.Program
}

// Set is one shape of data.
type Set struct {
	Name            string  `json:"name"`
	Keys            int     `json:"keys"`
	KeyBytes        int     `json:"key_bytes"`
	Values          string  `json:"values"` // for workload.ParseSizes
	Compressibility float64 `json:"compressibility"`
}

// data is the shape as workloads want it, with room for inserts of a tenth more
// keys than there are.
func (s *Set) data(seed uint64) (*workload.Data, error) {
	sizes, err := workload.ParseSizes(s.Values)
	if err != nil {
		return nil, err
	}
	data := &workload.Data{Keys: s.Keys, Capacity: s.Keys + max(1000, s.Keys/10), KeyBytes: s.KeyBytes,
		Sizes: sizes, Compressibility: s.Compressibility, Seed: seed}
	return data, data.Check()
}

// withRoom is data with room for what the workloads insert, as far as its keys
// are long enough for that.
func (s *Settings) withRoom(data *workload.Data, workloads []*workload.Workload) *workload.Data {
	inserts := 0.0
	for _, w := range workloads {
		if w.Loaded {
			inserts += s.inserts(w, data.Keys)
		}
	}
	roomy := *data
	room := min(inserts, roomFactor*float64(data.Keys)+roomMin, float64(workload.KeysMax-data.Keys))
	roomy.Capacity = max(data.Capacity, data.Keys+int(room))
	if roomy.Check() != nil {
		return data
	}
	return &roomy
}

const (
	// roomFactor and roomMin bound the room for inserts: places in the key space
	// that are not taken cost memory, and the choosers time.
	roomFactor, roomMin = 4, 100_000
	// fastest is how many operations a second a mix with inserts is taken to do at
	// most, if it runs for a time.
	fastest = 300_000
)

// inserting is the share of inserts in a workload's operations.
func inserting(w *workload.Workload) float64 {
	inserts, all := 0.0, 0.0
	for _, share := range w.Shares {
		all += share.Weight
		if share.Op == workload.Insert {
			inserts += share.Weight
		}
	}
	return inserts / max(all, math.SmallestNonzeroFloat64)
}

// inserts is how many records a workload that runs on data will insert, with its
// warm-up, about.
func (s *Settings) inserts(w *workload.Workload, keys int) float64 {
	share := inserting(w)
	if share == 0 || w.Fresh {
		return 0
	}
	operations := float64(cmp.Or(s.Operations, w.Operations.Of(keys)))
	timed := s.Warmup
	if s.Duration > 0 {
		operations, timed = 0, timed+s.Duration
	}
	operations += timed.Seconds() * cmp.Or(s.Rate, fastest)
	// More by chance, and those that clients hold.
	return operations*share*1.1 + 100
}

// Check finds what is wrong with a plan before anything is done.
func (p *Plan) Check() error {
	switch {
	case len(p.Engines) == 0:
		return errors.New("no engine to run")
	case p.Settings.Replay == nil && len(p.Workloads) == 0:
		return errors.New("no workload to run")
	case p.Rounds < 1:
		return fmt.Errorf("%d rounds: there must be at least one", p.Rounds)
	case p.Threads < 1 || p.Threads > 1024:
		return fmt.Errorf("%d threads: must be from 1 to 1024", p.Threads)
	case !(p.Rate >= 0 && p.Rate <= rateMax) || !(p.WriteRate >= 0 && p.WriteRate <= rateMax):
		return fmt.Errorf("rates of %v and %v: must be from 0 to %v", p.Rate, p.WriteRate, rateMax)
	case p.Duration < 0 || p.ReadLimit < 0 || p.Warmup < 0:
		return fmt.Errorf("times of %v, %v and %v: must not be negative", p.Duration, p.ReadLimit, p.Warmup)
	case p.Settings.Replay == nil && len(p.Sets) == 0:
		return errors.New("no set of data to run on")
	}
	seen := map[string]bool{}
	for _, e := range p.Engines {
		if seen[e.String()] {
			return fmt.Errorf("engine %s is named twice", e)
		}
		seen[e.String()] = true
		if _, ok := engine.Find(e.Name); !ok && e.Program == "" {
			return fmt.Errorf("this program has no engine %q", e.Name)
		}
	}
	seen = map[string]bool{}
	for _, s := range p.Sets {
		if seen[s.Name] {
			return fmt.Errorf("set %s is named twice", s.Name)
		}
		seen[s.Name] = true
		data, err := s.data(p.Seed)
		if err != nil {
			return fmt.Errorf("set %s: %w", s.Name, err)
		}
		for _, w := range p.Workloads {
			if _, err := w.DataFor(data); err != nil {
				return fmt.Errorf("set %s, %s: %w", s.Name, w.Name, err)
			}
		}
	}
	return nil
}

const rateMax = 1e9

// order is the order of engines in a round, from 0: each begins once before any
// begins twice.
func order(engines, round int) []int {
	list := make([]int, engines)
	for i := range list {
		list[i] = (i + round) % engines
	}
	return list
}
