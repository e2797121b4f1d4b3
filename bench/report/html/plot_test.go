package html

import (
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

func TestNumbersAreShortJSON(t *testing.T) {
	got, err := json.Marshal(numbers{1, 0.5, 123456, number(math.NaN()), number(math.Inf(1)), 1e-9})
	if want := `[1,0.5,1.235e+05,null,null,1e-09]`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if got, err := json.Marshal(numbers(nil)); string(got) != "[]" {
		t.Errorf("no numbers are %s, %v", got, err)
	}
}

func TestPercentsAscendToTheMaximum(t *testing.T) {
	if !slices.IsSorted(percents) || percents[0] != 0 || percents[len(percents)-1] != 100 {
		t.Errorf("percents: %v", percents)
	}
	for _, p := range []float64{50, 90, 99, 99.9, 99.99} {
		if !slices.Contains(percents, p) {
			t.Errorf("%v is missing", p)
		}
	}
}

func TestLongTimelinesAreAveragedWithoutLoss(t *testing.T) {
	p := &result.Phase{Round: 1}
	for s := range 1000 {
		p.Timeline = append(p.Timeline, result.Second{At: float64(s + 1), Operations: uint64(s), P99NS: 1000, MaxNS: int64(s)})
	}
	l := line(p)
	if len(l.Time) > pointsMax || len(l.Time) < pointsMax/2 {
		t.Fatalf("%d points", len(l.Time))
	}
	var sum float64
	begin := 0.0
	for i := range l.Time {
		width := 2 * (float64(l.Time[i]) - begin)
		sum += float64(l.Rate[i]) * width
		begin += width
	}
	if math.Abs(sum-999*500) > 1 {
		t.Errorf("the line has %v operations, want %v", sum, 999*500)
	}
	if got := float64(slices.Max(l.Max)); got != 0.999 {
		t.Errorf("the longest is %v µs, want 0.999", got)
	}
}

func TestAShortLastSecondHasItsOwnRate(t *testing.T) {
	p := &result.Phase{Timeline: []result.Second{{At: 1, Operations: 100}, {At: 1.5, Operations: 50}}}
	if l := line(p); len(l.Rate) != 2 || l.Rate[0] != 100 || l.Rate[1] != 100 {
		t.Errorf("rates %v, want 100 twice", l.Rate)
	}
	p.Timeline[1] = result.Second{At: 1.01, Operations: 9}
	if l := line(p); len(l.Rate) != 1 {
		t.Errorf("rates %v: a hundredth of a second is not a rate", l.Rate)
	}
}

func TestAPhaseShorterThanASecondHasALine(t *testing.T) {
	p := &result.Phase{Timeline: []result.Second{{At: 0.1, Operations: 100}}, Stalls: []result.Stall{{At: 0.05, Seconds: 0.3}}}
	if l := line(p); len(l.Rate) != 1 || l.Rate[0] != 1000 || !near(l.End, 0.35) {
		t.Errorf("rates %v until %v, want 1000 until 0.35", l.Rate, l.End)
	}
}

func TestCurvesAreMediansOfRounds(t *testing.T) {
	p := &panel{entries: []*entry{{}}}
	for round, us := range []int64{10, 30, 20} {
		k := result.Kind{Name: "read"}
		k.Latency.Record(time.Duration(us)*time.Microsecond, 100)
		p.entries[0].Phases = append(p.entries[0].Phases, &result.Phase{Round: round + 1, Kinds: []result.Kind{k}})
	}
	c := kinds(p)[0].Curves[0]
	for i := range percents {
		if near(c.Mid[i], 20) && near(c.Low[i], 10) && near(c.Top[i], 30) {
			continue
		}
		t.Fatalf("at %v%%: %v of %v to %v, want 20 of 10 to 30", percents[i], c.Mid[i], c.Low[i], c.Top[i])
	}
}

func near(got number, want float64) bool { return math.Abs(float64(got)-want) < want/500 }

func TestOpenLoopHasBothLatencies(t *testing.T) {
	f := small()
	f.open = true
	b := newBook(f.run())
	var names []string
	for _, k := range kinds(b.panels[0]) {
		names = append(names, k.Name)
	}
	want := []string{"read, from when it was due", "read, from its beginning"}
	if !slices.Equal(names, want) {
		t.Errorf("kinds %q, want %q", names, want)
	}
}

func TestMedianRound(t *testing.T) {
	e := &entry{}
	if e.medianRound() != 0 {
		t.Error("a median round of none")
	}
	e.Stats = map[string]result.Stat{"rate": {Median: 20, N: 3, Values: []result.RoundValue{{Round: 1, Value: 10}, {Round: 3, Value: 20}, {Round: 4, Value: 90}}}}
	if got := e.medianRound(); got != 3 {
		t.Errorf("round %d, want 3", got)
	}
}
