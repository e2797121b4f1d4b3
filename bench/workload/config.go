package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// Config is what a Source is made of.
type Config struct {
	Store engine.Store
	Model *Model
	// Context ends a garbage collection that was asked for. nil: Background.
	Context context.Context
	// Threads is how many clients share the operations, at least 1.
	Threads int
	// Operations is how many there are for all clients; 0: the workload's default.
	Operations uint64
	Unlimited  bool // no end but time
	Seed       uint64
	Verify     bool // check answers; without, only that there was no error
	// What replaces the workload's own figures unless 0.
	BatchSize   int     // writes in a batch
	ScanEntries int     // entries in a scan
	MultiGet    int     // keys in a multiread
	WriteRate   float64 // of each paced writer beside others, per second
	TTL         time.Duration
}

const (
	writeRateDefault = 10_000
	batchDefault     = 100
	multiDefault     = 100
	scanDefault      = "10"
	ttlDefault       = 2 * time.Second
	batchMax         = 1_000_000
	shareMax         = 1e12
	rateMax          = 1e9
	ttlMax           = Duration(30 * 24 * time.Hour)
)

var errMergeTTL = errors.New("merge and putttl can't be mixed: engines differ in what lives how long then")

// Duration is a time.Duration that is text in JSON and TOML, such as "1.5s".
type Duration time.Duration

// MarshalText writes it as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	*d = Duration(parsed)
	return err
}

// ErrNotLoaded is why New refuses a workload that needs data which is not there.
var ErrNotLoaded = errors.New("workload: the store has to be filled first")

// New puts the workload to work on a store. It may write what the workload needs
// beside the Model's data. The Model must say what the store holds; one Source
// at a time uses it. The error is ErrNotLoaded or a *UsageError, or the store's.
func (w *Workload) New(c Config) (Source, error) {
	if err := w.check(); err != nil {
		return nil, err
	}
	if c.Threads < 1 {
		return nil, usage("threads", c.Threads, "must be at least 1")
	}
	if c.Context == nil {
		c.Context = context.Background()
	}
	if err := w.able(c.Store); err != nil {
		return nil, err
	}
	if w.Loaded && c.Model.Records() == 0 {
		return nil, fmt.Errorf("%w: %s needs data", ErrNotLoaded, w.Name)
	}
	switch w.Program {
	case Walk:
		return newWalkSource(w, c, 1), nil
	case WalkDown:
		return newWalkSource(w, c, -1), nil
	case Bank:
		return newBank(w, c)
	case Counters:
		return newCounters(w, c)
	}
	return newMix(w, c)
}

// able checks that the store has the interfaces that the workload calls.
func (w *Workload) able(s engine.Store) error {
	lacks := engine.Ability(0)
	if _, ok := s.(engine.Merger); !ok {
		lacks |= engine.Merge
	}
	if _, ok := s.(engine.Expirer); !ok {
		lacks |= engine.TTL
	}
	if _, ok := s.(engine.Transactor); !ok {
		lacks |= engine.Transactions
	}
	if _, ok := s.(engine.Collector); !ok {
		lacks |= engine.ValueLog
	}
	if missing := w.needs() & lacks; missing != 0 {
		return usage("workload", w.Name, "needs %s, which the engine lacks", missing)
	}
	return nil
}

// needs is Needs with what follows from the shares.
func (w *Workload) needs() engine.Ability {
	all := w.Needs
	for _, s := range w.Shares {
		switch s.Op {
		case MergeOperand:
			all |= engine.Merge
		case PutTTL:
			all |= engine.TTL
		}
	}
	return all
}

// operations is how many operations there are for all clients; 0: no end.
func (w *Workload) operations(c *Config, batch int) uint64 {
	switch {
	case c.Unlimited:
		return 0
	case c.Operations != 0:
		return c.Operations
	}
	n := w.Operations.Of(c.Model.data.Keys)
	if len(w.Shares) == 1 && w.Shares[0].Op == BatchPut {
		n = (n + uint64(batch) - 1) / uint64(batch)
	}
	return n
}

// share is how many of the operations are those of one client.
func share(operations uint64, index, clients int) uint64 {
	n := operations / uint64(clients)
	if uint64(index) < operations%uint64(clients) {
		n++
	}
	return n
}

// check tells what is wrong with a workload, as a *UsageError.
func (w *Workload) check() error {
	bad := func(format string, args ...any) error { return usage("workload", w.Name, format, args...) }
	if w.Name == "" {
		return bad("has no name")
	}
	switch {
	case w.Special != "":
		if w.Special != BulkLoad && w.Special != OpenClean && w.Special != OpenKilled {
			return bad("special %q is not known", w.Special)
		}
		return nil
	case w.Program == Walk, w.Program == WalkDown, w.Program == Bank, w.Program == Counters:
		return nil
	case w.Program != Mix:
		return bad("program %q is not known", w.Program)
	case w.Batch < 0 || w.Batch > batchMax || w.Multi < 0 || w.Multi > batchMax:
		return bad("batch and multiget must be 1 to %d", batchMax)
	case w.TTL < 0 || w.TTL > ttlMax:
		return bad("ttl must be above 0, up to 30 days")
	}
	if err := w.checkShares(); err != nil {
		return err
	}
	if _, err := ParseChooser(w.Chooser); err != nil {
		return err
	}
	if w.Scan != "" {
		if _, err := parseLengths(w.Scan); err != nil {
			return err
		}
	}
	return w.checkData()
}

func (w *Workload) checkShares() error {
	bad := func(format string, args ...any) error { return usage("workload", w.Name, format, args...) }
	sum := 0.0
	for _, s := range w.Shares {
		switch {
		case !slices.Contains(shareOps, s.Op):
			return bad("operation %q is not one of %v", s.Op, shareOps)
		case !(s.Weight >= 0 && s.Weight <= shareMax):
			return bad("the share of %s must not be negative", s.Op)
		}
		sum += s.Weight
	}
	if sum == 0 {
		return bad("the shares sum to 0")
	}
	for _, b := range w.Beside {
		if _, err := ParseChooser(b.Chooser); err != nil {
			return err
		}
		if b.Op != Collect && !slices.Contains(shareOps, b.Op) {
			return bad("operation %q beside is not known", b.Op)
		}
		if !(b.Rate > 0 && b.Rate <= rateMax) {
			return bad("the rate of %s beside must be above 0", b.Op)
		}
	}
	if w.does(MergeOperand) && w.does(PutTTL) {
		return bad("%v", errMergeTTL)
	}
	return nil
}

func (w *Workload) checkData() error {
	if w.Values != "" {
		if _, err := ParseSizes(w.Values); err != nil {
			return err
		}
	}
	d := Data{Keys: max(w.Keys, 1), Capacity: max(w.Keys, 1), KeyBytes: w.KeyBytes, Sizes: fixedSizes(ValueBytesMin)}
	if w.KeyBytes == 0 {
		d.KeyBytes = numberDigitsMax
	}
	if w.Keys < 0 {
		d.Keys = w.Keys
	}
	if w.Compressibility != nil {
		d.Compressibility = *w.Compressibility
	}
	return d.Check()
}

var shareOps = []Op{Read, ReadMissing, MultiRead, Put, Update, Insert, ReadModify, BatchPut, Delete,
	MergeOperand, PutTTL, Scan, ReverseScan}

// does tells whether the workload has operations of that kind.
func (w *Workload) does(op Op) bool {
	return slices.ContainsFunc(w.Shares, func(s Share) bool { return s.Op == op && s.Weight > 0 }) ||
		slices.ContainsFunc(w.Beside, func(b Beside) bool { return b.Op == op })
}
