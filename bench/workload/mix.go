package workload

import (
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
)

// Upkeep is the class of operations that no user waits for.
const Upkeep result.Class = "upkeep"

// classes of operations.
var classes = map[Op]result.Class{
	Read: result.Read, ReadMissing: result.Read, MultiRead: result.Read,
	Put: result.Write, Update: result.Write, Insert: result.Write, BatchPut: result.Write,
	Delete: result.Write, MergeOperand: result.Write, PutTTL: result.Write, ReadModify: result.Write,
	Scan: result.Scan, ReverseScan: result.Scan, Collect: Upkeep,
}

func (o Op) writes() bool { return classes[o] == result.Write }

// BesideSource is a Source with more clients than threads: those with indexes
// from Threads on work to their own timetable until the others have ended.
type BesideSource interface {
	Source
	// Beside is how many there are.
	Beside() int
}

// mixSource draws operations by their shares. Immutable after newMix, but for
// the Model.
type mixSource struct {
	w      *Workload
	c      Config
	model  *Model
	shares []Share // without those of weight 0
	upTo   []float64
	beside []Beside
	kinds  []Kind

	distribution Distribution
	scan         lengths
	batch, multi int
	ttl          time.Duration
	total        uint64
	quiet        bool
	capacity     uint64 // how many records there may be in this phase
}

func newMix(w *Workload, c Config) (*mixSource, error) {
	s := &mixSource{w: w, c: c, model: c.Model, quiet: true}
	s.batch = firstOf(c.BatchSize, w.Batch, batchDefault)
	s.multi = firstOf(c.MultiGet, w.Multi, multiDefault)
	s.ttl = firstOf(c.TTL, time.Duration(w.TTL), ttlDefault)
	if s.batch < 1 || s.batch > batchMax || s.multi < 1 || s.multi > batchMax || s.ttl < 0 || s.ttl > time.Duration(ttlMax) {
		return nil, usage("workload", w.Name, "batch %d, multiget %d or time to live %v cannot be", s.batch, s.multi, s.ttl)
	}
	var err error
	if s.distribution, err = ParseChooser(w.Chooser); err != nil {
		return nil, err
	}
	text := firstOf(w.Scan, scanDefault)
	if c.ScanEntries != 0 {
		text = fmt.Sprint(c.ScanEntries)
	}
	if s.scan, err = parseLengths(text); err != nil {
		return nil, err
	}
	s.total = w.operations(&c, s.batch)
	s.addShares()
	if w.does(MergeOperand) && c.Model.expires != nil {
		return nil, fmt.Errorf("%w: what is there has a time to live, which merges must not meet", ErrNotLoaded)
	}
	s.prepareModel()
	return s, nil
}

func firstOf[T comparable](choices ...T) T {
	var zero T
	for _, c := range choices {
		if c != zero {
			return c
		}
	}
	return zero
}

func (s *mixSource) addShares() {
	sum := 0.0
	for _, share := range s.w.Shares {
		if share.Weight == 0 {
			continue
		}
		sum += share.Weight
		s.shares = append(s.shares, share)
		s.upTo = append(s.upTo, sum)
		s.kinds = append(s.kinds, Kind{string(share.Op), classes[share.Op]})
		s.quiet = s.quiet && !share.Op.writes()
	}
	for i := range s.upTo {
		s.upTo[i] /= sum
	}
	s.upTo[len(s.upTo)-1] = 1
	for _, b := range s.w.Beside {
		if _, ok := s.c.Store.(engine.Collector); b.Op == Collect && !ok {
			continue
		}
		if b.Op.writes() && s.c.WriteRate > 0 {
			b.Rate = s.c.WriteRate
		}
		s.beside = append(s.beside, b)
		s.kinds = append(s.kinds, Kind{string(b.Op), classes[b.Op]})
		s.quiet = s.quiet && !b.Op.writes()
	}
}

func (s *mixSource) prepareModel() {
	m := s.model
	if s.w.does(MergeOperand) {
		m.prepareMerges()
	}
	if s.w.does(PutTTL) {
		m.prepareExpiry()
	}
	if s.w.Fill && m.visible.Load() == 0 {
		m.hashed.Store(s.w.Hashed)
	}
	m.next.Store(m.visible.Load())
	s.capacity = s.records()
	if s.w.does(Insert) {
		s.capacity = uint64(len(m.words))
		if s.total > 0 {
			// As YCSB: room for twice the inserts that are to be expected.
			s.capacity = min(s.capacity, s.records()+2*uint64(float64(s.total)*s.shareOf(Insert))+1)
		}
	}
}

func (s *mixSource) shareOf(op Op) float64 {
	sum, all := 0.0, 0.0
	for _, share := range s.shares {
		all += share.Weight
		if share.Op == op {
			sum += share.Weight
		}
	}
	return sum / all
}

// records is how many there are to choose from.
func (s *mixSource) records() uint64 {
	if s.w.Fill {
		return uint64(s.model.data.Keys)
	}
	return s.model.visible.Load()
}

// Kinds implements Source: those of the shares, then those of clients beside.
func (s *mixSource) Kinds() []Kind { return s.kinds }

// Total implements Source. Clients beside the others are not counted.
func (s *mixSource) Total() uint64 { return s.total }

// Beside implements BesideSource.
func (s *mixSource) Beside() int { return len(s.beside) }

// Client implements Source.
func (s *mixSource) Client(index int) (Client, error) {
	if index < 0 || index >= s.c.Threads+len(s.beside) {
		return nil, usage("client", index, "there are %d", s.c.Threads+len(s.beside))
	}
	return newMixClient(s, index)
}

// Finish implements Source.
func (s *mixSource) Finish(bool) error {
	s.model.advance()
	return nil
}
