package trace

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// Skip is what a replay leaves out.
type Skip struct {
	Kind   Kind
	Reason string
	Count  uint64
}

// survey is what the first reading of a trace finds for a replay.
type survey struct {
	tr      translator
	keys    []*entry // ascending
	slow    []Op     // that took slowOp or longer, by Start
	kinds   [kindMax + 1]uint64
	total   uint64
	skips   map[Skip]uint64
	first   time.Duration // when the first operation began
	summary Summary
	lengths struct{ sum, n uint64 } // of the values that are put
}

// errPrefixes says that a trace has keyspaces after all.
var errPrefixes = errors.New("keyspaces")

// newSurvey reads the trace at path, once, or, if it has keyspaces, once more
// from where the first is announced.
func newSurvey(path string, has engine.Ability) (*survey, error) {
	s, err := surveyWith(path, has, false)
	if errors.Is(err, errPrefixes) {
		s, err = surveyWith(path, has, true)
	}
	return s, err
}

func surveyWith(path string, has engine.Ability, prefixes bool) (*survey, error) {
	r, err := Open(path)
	if err != nil {
		return nil, err
	}
	s := &survey{skips: make(map[Skip]uint64), first: -1}
	s.tr = translator{has: has, hashed: r.Hashed(), prefixes: prefixes, entries: make(map[string]*entry), grows: true,
		skip: func(op *Op, reason string) { s.skips[Skip{Kind: op.Kind, Reason: reason}]++ }}
	err = s.read(r)
	s.summary = r.Summary()
	if err := errors.Join(err, r.Close()); err != nil {
		return nil, err
	}
	s.tr.grows = false
	s.tr.skip = func(*Op, string) {}
	s.finish()
	return s, nil
}

func (s *survey) read(r *Reader) error {
	var op Op
	var t task
	for {
		err := r.Next(&op)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if op.Kind == KindKeyspace {
			if !s.tr.prefixes {
				return errPrefixes
			}
			if err := checkKeyspace(op.Keyspace); err != nil {
				return err
			}
		}
		if op.Kind != KindLost && op.Kind != KindKeyspace && (s.first < 0 || op.Start < s.first) {
			s.first = op.Start
		}
		if op.Took >= slowOp {
			s.slow = append(s.slow, op.Clone())
		}
		s.tr.translate(&op, &t)
		if len(t.steps) == 0 {
			continue
		}
		s.total++
		s.kinds[op.Kind]++
		s.note(&t)
	}
}

// note finds what must be there before a task.
func (s *survey) note(t *task) {
	for i := range t.steps {
		st := &t.steps[i]
		switch {
		case st.do == doScan || t.how == asDiscarded && st.do != doGet:
		case st.do != doGet:
			st.e.writes = 1
			if st.do != doDelete {
				s.lengths.sum += uint64(st.length)
				s.lengths.n++
			}
		case !st.found || st.e.writes > 0 || st.e.preload >= 0:
		case st.length != anyLength || st.e.preload == noPreload:
			st.e.preload = int32(st.length)
		}
	}
}

// valueBytesDefault is the length of what is loaded when a trace tells no
// length at all.
const valueBytesDefault = 100

// finish sorts what was found.
func (s *survey) finish() {
	mean := int32(valueBytesDefault)
	if s.lengths.n > 0 {
		mean = int32(s.lengths.sum / s.lengths.n)
	}
	s.keys = make([]*entry, 0, len(s.tr.entries))
	for _, e := range s.tr.entries {
		if e.writes = 0; e.preload == anyLength {
			e.preload = mean
		}
		s.keys = append(s.keys, e)
	}
	slices.SortFunc(s.keys, func(a, b *entry) int { return bytes.Compare(a.key, b.key) })
	sortSlow(s.slow)
	s.first = max(s.first, 0)
}

// skipped lists what is left out, the most first.
func (s *survey) skipped() []Skip {
	var list []Skip
	for skip, n := range s.skips {
		skip.Count = n
		list = append(list, skip)
	}
	slices.SortFunc(list, func(a, b Skip) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Reason, b.Reason))
	})
	return list
}

// String is one line of a report.
func (s Skip) String() string { return fmt.Sprintf("%d %s left out: %s", s.Count, s.Kind, s.Reason) }
