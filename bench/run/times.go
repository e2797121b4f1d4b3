package run

import (
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// times guesses how long a run will take from how long its phases took so far: a
// phase takes as long as the same workload has taken on the same set, on average
// over engines; one that has not been met, as long as the average phase.
type times struct {
	plan   *Plan
	began  time.Time
	last   time.Time // when the last phase ended
	phases int       // ended
	total  int
	spent  time.Duration // by the phases that ended, but for skipped ones
	worked int           // how many those are
	sums   map[[2]string]time.Duration
	counts map[[2]string]int
}

func newTimes(p *Plan) *times {
	now := time.Now()
	return &times{plan: p, began: now, last: now, total: len(p.Engines) * len(p.Sets) * p.Rounds * len(p.Workloads),
		sums: map[[2]string]time.Duration{}, counts: map[[2]string]int{}}
}

// ended takes in a phase: everything since the last one is counted to it, but
// skipped ones, which take no time, tell nothing about others.
func (t *times) ended(p *result.Phase) {
	now := time.Now()
	took := now.Sub(t.last)
	t.last, t.phases = now, t.phases+1
	if p.Skipped == "" {
		t.spent, t.worked = t.spent+took, t.worked+1
		key := [2]string{p.Set, p.Workload}
		t.sums[key] += took
		t.counts[key]++
	}
}

// guess is how long a phase will take.
func (t *times) guess(set, workload string) time.Duration {
	key := [2]string{set, workload}
	if n := t.counts[key]; n > 0 {
		return t.sums[key] / time.Duration(n)
	}
	if t.worked == 0 {
		return 0
	}
	return t.spent / time.Duration(t.worked)
}

// estimate is the part of the run that is done and the time that is left, 0 if
// that cannot be known yet. told is how many phases of the child's have ended.
func (t *times) estimate(j *job, told int, m *progress) (done float64, left time.Duration) {
	var all time.Duration // of one engine in one round
	byPhase := make([]time.Duration, 0, len(t.plan.Sets)*len(t.plan.Workloads))
	place := 0
	for _, s := range t.plan.Sets {
		for i, w := range t.plan.Workloads {
			if s.Name == j.Set.Name && i == told {
				place = len(byPhase)
			}
			g := t.guess(s.Name, w.Name)
			byPhase = append(byPhase, g)
			all += g
		}
	}
	elapsed := time.Since(t.began)
	if t.worked == 0 || place >= len(byPhase) {
		if m.Fraction > 0 && t.total == 1 {
			return m.Fraction, time.Duration(float64(elapsed) * (1 - m.Fraction) / m.Fraction)
		}
		return 0, 0
	}
	current := byPhase[place]
	inPhase := min(time.Since(t.last), current)
	if m.Fraction >= 0 && m.State == Running {
		inPhase = time.Duration(float64(current) * m.Fraction)
	}
	// Phases that have not ended, by the mean of one engine's whole round.
	perPhase := float64(all) / float64(len(byPhase))
	left = time.Duration(perPhase*float64(max(0, t.total-t.phases-1))) + max(0, current-inPhase)
	return float64(elapsed) / max(1, float64(elapsed+left)), left
}
