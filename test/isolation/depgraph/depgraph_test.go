package depgraph

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func committed(ops ...Op) Txn { return Txn{Ops: ops} }

func aborted(ops ...Op) Txn { return Txn{Outcome: Aborted, Ops: ops} }

func unknown(ops ...Op) Txn { return Txn{Outcome: Unknown, Ops: ops} }

// at gives t a place in real time.
func at(start, end int64, t Txn) Txn {
	t.Start, t.End = start, end
	return t
}

func TestHandMadeHistories(t *testing.T) {
	for _, c := range []struct {
		name         string
		history      []Txn
		serializable []Kind
		snapshot     []Kind
	}{
		{"nothing", nil, nil, nil},
		{"one after the other", []Txn{
			at(1, 2, committed(Read("x"), Append("x", 1))),
			at(3, 4, committed(Read("x", 1), Append("x", 2), Read("x", 1, 2))),
			at(5, 6, committed(Read("x", 1, 2), Read("y"))),
		}, nil, nil},
		{"own appends, one of them before the first read", []Txn{
			committed(Append("x", 1), Append("x", 2), Read("x", 1, 2)),
			committed(Append("x", 3), Read("x", 1, 2, 3)),
		}, nil, nil},
		{"G0: two keys written in opposite orders", []Txn{
			committed(Append("x", 1), Append("y", 1)),
			committed(Append("x", 2), Append("y", 2)),
			committed(Read("x", 1, 2)),
			committed(Read("y", 2, 1)),
		}, []Kind{G0}, []Kind{G0}},
		{"G0: another's append between two of one transaction", []Txn{
			committed(Append("x", 1), Append("x", 2)),
			committed(Append("x", 3)),
			committed(Read("x", 1, 3, 2)),
		}, []Kind{G0}, []Kind{G0}},
		{"G1a", []Txn{
			aborted(Append("x", 1)),
			committed(Read("x", 1)),
		}, []Kind{G1a}, []Kind{G1a}},
		{"G1a: a committed append on top of an aborted one", []Txn{
			aborted(Append("x", 1)),
			committed(Append("x", 2)),
			committed(Read("x", 1, 2)),
		}, []Kind{G1a}, []Kind{G1a}},
		{"G1b", []Txn{
			committed(Append("x", 1), Append("x", 2)),
			committed(Read("x", 1)),
		}, []Kind{G1b, GSingle}, []Kind{G1b, GSingle}},
		{"G1c: each reads what the other wrote", []Txn{
			committed(Append("x", 1), Read("y", 1)),
			committed(Append("y", 1), Read("x", 1)),
		}, []Kind{G1c}, []Kind{G1c}},
		{"P4: two add to what both read", []Txn{
			committed(Read("x"), Append("x", 1)),
			committed(Read("x"), Append("x", 2)),
			committed(Read("x", 1, 2)),
		}, []Kind{LostUpdate, GSingle}, []Kind{LostUpdate, GSingle}},
		{"P4: nobody read the result", []Txn{
			committed(Read("x"), Append("x", 1)),
			committed(Read("x"), Append("x", 2)),
		}, []Kind{LostUpdate, G2Item}, []Kind{LostUpdate}},
		{"G-single: half of another's appends", []Txn{
			committed(Append("x", 1), Append("y", 1)),
			committed(Read("x"), Read("y", 1)),
		}, []Kind{GSingle}, []Kind{GSingle}},
		{"G-single over a third", []Txn{
			committed(Append("x", 1)),
			committed(Read("x", 1), Append("y", 1)),
			committed(Read("y", 1), Read("x")),
		}, []Kind{GSingle}, []Kind{GSingle}},
		{"G-single with a range read", []Txn{
			committed(Append("x", 1), Append("y", 1)),
			committed(RangeRead("x", 1), RangeRead("y")),
		}, []Kind{GSingle}, []Kind{GSingle}},
		{"G-nonadjacent: two readers see two writers in opposite orders", []Txn{
			committed(Append("x", 1)),
			committed(Append("y", 1)),
			committed(Read("x", 1), Read("y")),
			committed(Read("x"), Read("y", 1)),
		}, []Kind{GNonadjacent, G2Item}, []Kind{GNonadjacent}},
		{"G2-item: write skew", []Txn{
			committed(Read("x"), Append("y", 1)),
			committed(Read("y"), Append("x", 1)),
		}, []Kind{G2Item}, nil},
		{"G2-item of three", []Txn{
			committed(Read("x"), Append("y", 1)),
			committed(Read("y"), Append("z", 1)),
			committed(Read("z"), Append("x", 1)),
			committed(Read("x", 1), Read("y", 1), Read("z", 1)),
		}, []Kind{G2Item}, nil},
		{"G2: two find a range empty and insert into it", []Txn{
			committed(RangeRead("a"), RangeRead("b"), Append("a", 1)),
			committed(RangeRead("a"), RangeRead("b"), Append("b", 1)),
			committed(RangeRead("a", 1), RangeRead("b", 1)),
		}, []Kind{G2}, nil},
		{"read-only anomaly", []Txn{
			committed(Read("x"), Read("y"), Append("x", 1)), // the withdrawal that saw no deposit
			committed(Read("y"), Append("y", 1)),            // the deposit
			committed(Read("x"), Read("y", 1)),              // the report: the deposit came first
			committed(Read("x", 1), Read("y", 1), Append("z", 1)),
		}, []Kind{G2Item}, nil},
		{"stale read, by the clock", []Txn{
			at(1, 2, committed(Append("x", 1))),
			at(3, 4, committed(Read("x"))),
		}, []Kind{GSingle}, []Kind{GSingle}},
		{"the same at one instant is fine", []Txn{
			at(1, 3, committed(Append("x", 1))),
			at(3, 4, committed(Read("x"))),
		}, nil, nil},
		{"orders against the clock", []Txn{
			at(1, 2, committed(Append("x", 1))),
			at(3, 4, committed(Append("x", 2))),
			at(5, 6, committed(Read("x", 2, 1))),
		}, []Kind{G0}, []Kind{G0}},
		{"unknown, seen: it counts", []Txn{
			unknown(Append("x", 1), Append("y", 1)),
			committed(Read("x", 1)),
			committed(Read("x", 1), Read("y")),
		}, []Kind{GSingle}, []Kind{GSingle}},
		{"unknown, seen late: it has no end", []Txn{
			at(1, 0, unknown(Append("x", 1))),
			at(5, 6, committed(Read("x"))),
			at(7, 8, committed(Read("x", 1))),
		}, nil, nil},
		{"unknown, seen before it was begun", []Txn{
			at(1, 2, committed(Read("x", 1))),
			at(5, 0, unknown(Append("x", 1))),
		}, []Kind{G1c}, []Kind{G1c}},
		{"unknown, not seen: it does not", []Txn{
			unknown(Read("y"), Append("x", 1)),
			committed(Read("x"), Append("y", 1)),
		}, nil, nil},
		{"unknown, seen by one of unknown outcome that was seen", []Txn{
			unknown(Append("x", 1), Append("z", 1)),
			unknown(Read("x", 1), Append("y", 1)),
			committed(Read("y", 1), Read("z")),
		}, []Kind{GSingle}, []Kind{GSingle}},
		{"aborted, not seen: it does not", []Txn{
			aborted(Read("y"), Append("x", 1)),
			committed(Read("x"), Append("y", 1)),
		}, nil, nil},
		{"garbage", []Txn{committed(Read("x", 7))}, []Kind{Garbage}, []Kind{Garbage}},
		{"duplicate", []Txn{
			committed(Append("x", 7)),
			committed(Read("x", 7, 7)),
		}, []Kind{Duplicate}, []Kind{Duplicate}},
		{"incompatible", []Txn{
			committed(Append("x", 1)),
			committed(Append("x", 2)),
			committed(Read("x", 1, 2)),
			committed(Read("x", 2)),
		}, []Kind{Incompatible}, []Kind{Incompatible}},
		{"own append not seen", []Txn{committed(Append("x", 1), Read("x"))}, []Kind{Internal}, []Kind{Internal}},
		{"read that is not repeatable", []Txn{
			committed(Append("x", 1)),
			committed(Read("x"), Read("x", 1)),
		}, []Kind{Internal}, []Kind{Internal}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for level, want := range map[Level][]Kind{Serializable: c.serializable, SnapshotIsolation: c.snapshot} {
				found, err := Check(c.history, level)
				if err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(found.Kinds(), want) {
					t.Errorf("level %d: found %v, want %v\n%s", level, found.Kinds(), want, found)
				}
			}
		})
	}
}

func TestReportIsReadable(t *testing.T) {
	found, err := Check([]Txn{
		at(10, 20, committed(RangeRead("a"), Append("b", 4))),
		{Name: "second", Start: 11, End: 19, Ops: []Op{Read("b"), Append("a", 5)}},
		at(12, 15, committed(Read("c"))),
	}, Serializable)
	if err != nil {
		t.Fatal(err)
	}
	const want = `G2 (phantom): a cycle of 2 transactions
  T0: range read a [], append b 4  (10 to 20)
  second: read b [], append a 5  (11 to 19)
  T0 -rw-> second: T0 range read 0 elements of a, without 5 of second
  second -rw-> T0: second read 0 elements of b, without 4 of T0
`
	if found.String() != want {
		t.Errorf("got\n%swant\n%s", found, want)
	}
}

func TestClockIsNamedOnlyWhereItIsNeeded(t *testing.T) {
	for _, c := range []struct {
		history []Txn
		clock   bool
	}{
		{[]Txn{at(1, 2, committed(Append("x", 1))), at(3, 4, committed(Read("x")))}, true},
		{[]Txn{at(1, 2, committed(Append("x", 1), Append("y", 1))), at(3, 4, committed(Read("x"), Read("y", 1)))}, false},
	} {
		found, err := Check(c.history, Serializable)
		if err != nil || len(found) != 1 {
			t.Fatalf("%v, %v", found, err)
		}
		if found[0].RealTime != c.clock || strings.Contains(found[0].Text, "by the clock") != c.clock {
			t.Errorf("by the clock: %v, want %v\n%s", found[0].RealTime, c.clock, found)
		}
	}
}

func TestSmallestCycleIsReported(t *testing.T) {
	var history []Txn
	ring := func(prefix string, n int) { // write skew of n transactions
		for i := range n {
			history = append(history, committed(
				Read(fmt.Sprint(prefix, i)), Append(fmt.Sprint(prefix, (i+1)%n), 1)))
		}
	}
	ring("a", 9)
	ring("b", 3)
	ring("c", 5)
	found, err := Check(history, Serializable)
	if err != nil || len(found) != 1 || len(found[0].Txns) != 3 {
		t.Fatalf("want a cycle of 3: %v\n%s", err, found)
	}
}

func TestHistoriesThatCannotBeCheckedAreRefused(t *testing.T) {
	for _, h := range [][]Txn{
		{committed(Append("x", 1)), committed(Append("x", 1))},
		{at(2, 1, committed(Read("x")))},
	} {
		if found, err := Check(h, Serializable); err == nil {
			t.Errorf("no error, %v", found)
		}
	}
}

// serialRun is a random history that ran serially: n transactions, each with a
// point in time inside its interval. see changes what a transaction sees of a
// list; nil: everything.
func serialRun(seed uint64, n int, see func(r *rand.Rand, list []int) []int) []Txn {
	r := rand.New(rand.NewPCG(seed, 0))
	lists := make(map[string][]int)
	var history []Txn
	for i := range n {
		point := int64(i+1) * 10
		t := Txn{Start: point - r.Int64N(40), End: point + r.Int64N(40)}
		own := make(map[string][]int)
		outside := make(map[string][]int)
		for range 1 + r.IntN(5) {
			key := fmt.Sprint("k", i/50, r.IntN(6))
			if r.IntN(2) == 0 {
				own[key] = append(own[key], i*10+len(t.Ops))
				t.Ops = append(t.Ops, Append(key, i*10+len(t.Ops)))
				continue
			}
			if _, again := outside[key]; !again {
				outside[key] = slices.Clone(lists[key])
				if see != nil {
					outside[key] = see(r, outside[key])
				}
			}
			op := Read(key, slices.Concat(outside[key], own[key])...)
			op.Range = r.IntN(3) == 0
			t.Ops = append(t.Ops, op)
		}
		for key, list := range own {
			lists[key] = append(lists[key], list...)
		}
		history = append(history, t)
	}
	r.Shuffle(len(history), func(i, j int) { history[i], history[j] = history[j], history[i] })
	return history
}

func TestSerialRunsAreClean(t *testing.T) {
	for seed := range uint64(50) {
		for _, level := range []Level{Serializable, SnapshotIsolation} {
			found, err := Check(serialRun(seed, 200, nil), level)
			if err != nil || len(found) > 0 {
				t.Fatalf("seed %d: %v\n%s", seed, err, found)
			}
		}
	}
}

func TestStaleReadsInARunAreFound(t *testing.T) {
	missed := 0
	for seed := range uint64(50) {
		found, err := Check(serialRun(seed, 200, func(r *rand.Rand, list []int) []int {
			if r.IntN(40) == 0 && len(list) > 0 {
				return list[:r.IntN(len(list))]
			}
			return list
		}), Serializable)
		if err != nil {
			t.Fatal(err)
		}
		if len(found) == 0 {
			missed++
		}
	}
	if missed > 5 {
		t.Errorf("nothing found in %d of 50 runs", missed)
	}
}

// The search agrees with a plain one that tries all ways, on small graphs.
func TestSmallGraphsAgreeWithExhaustiveSearch(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 1))
		g := randomGraph(r)
		for _, level := range []Level{Serializable, SnapshotIsolation} {
			got := make(map[Kind]bool)
			for _, a := range g.cycles(level) {
				got[a.Kind] = true
			}
			want := exhaustive(g, level)
			for _, k := range []Kind{G0, G1c, GSingle, GNonadjacent} {
				// A way that passes a transaction twice is no simple cycle,
				// but is made of some that are worse.
				worse := k == GNonadjacent && (want[G0] || want[G1c] || want[GSingle])
				if got[k] != want[k] && !(worse && got[k]) {
					t.Fatalf("seed %d, level %d: %s: found %v, there is %v: %v", seed, level, k, got[k], want[k], g.out)
				}
			}
			if any := len(want) > 0; any != (len(got) > 0) {
				t.Fatalf("seed %d, level %d: found %v, there is %v", seed, level, got, want)
			}
		}
	}
}

func randomGraph(r *rand.Rand) *graph {
	n := 3 + r.IntN(3)
	g := &graph{history: make([]Txn, n), out: make([][]edge, n)}
	for range n + r.IntN(n) {
		g.add(r.IntN(n), edge{to: r.IntN(n), kind: []edgeKind{ww, wr, rw, rw}[r.IntN(4)]})
	}
	return g
}

// exhaustive is the kinds of all simple cycles of a graph, without the G2 ones
// under snapshot isolation.
func exhaustive(g *graph, level Level) map[Kind]bool {
	found := make(map[Kind]bool)
	var walk func(home int, path []step, on []bool)
	walk = func(home int, path []step, on []bool) {
		v := home
		if len(path) > 0 {
			v = path[len(path)-1].to
		}
		for _, e := range g.out[v] {
			switch {
			case e.to == home:
				k := kindOf(append(slices.Clone(path), step{v, e}))
				if k != G2Item || level == Serializable {
					found[k] = true
				}
			case !on[e.to]:
				on[e.to] = true
				walk(home, append(slices.Clone(path), step{v, e}), on)
				on[e.to] = false
			}
		}
	}
	for home := range g.out {
		on := make([]bool, len(g.out))
		on[home] = true
		walk(home, nil, on)
	}
	return found
}

func kindOf(cycle []step) Kind {
	rws, adjacent, wrs := 0, false, 0
	for i, st := range cycle {
		switch st.kind {
		case rw:
			rws++
			adjacent = adjacent || cycle[(i+1)%len(cycle)].kind == rw
		case wr:
			wrs++
		}
	}
	switch {
	case rws == 0 && wrs == 0:
		return G0
	case rws == 0:
		return G1c
	case rws == 1:
		return GSingle
	case adjacent:
		return G2Item
	}
	return GNonadjacent
}

// A history takes about as long as ten histories of a tenth of its length, which
// take a tenth of that where time grows with the square. The machine may have other
// things to do meanwhile: one comparison of several will do.
func TestCheckingTakesLinearTime(t *testing.T) {
	txns := 50_000
	if testing.Short() {
		txns = 20_000
	}
	const parts, tries = 10, 6
	whole, part := serialRun(1, txns, nil), serialRun(2, txns/parts, nil)
	check := func(history []Txn, times int) time.Duration {
		start := time.Now()
		for range times {
			if found, err := Check(history, Serializable); err != nil || len(found) > 0 {
				t.Fatalf("%v\n%s", err, found)
			}
		}
		return time.Since(start)
	}
	for try := range tries {
		before := check(part, parts/2)
		took := check(whole, 1)
		apart := before + check(part, parts-parts/2)
		t.Logf("%d transactions in %v, in %d parts %v", txns, took, parts, apart)
		if took < 3*apart {
			return
		}
		if try == tries-1 {
			t.Errorf("%d transactions took %v, %d times a part of them %v", txns, took, parts, apart)
		}
	}
}
