package isolation

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
)

// interleaving is a schedule from the literature that an isolation level allows
// or not: who steps when is fixed.
type interleaving struct {
	name string // as in docs/isolation.md
	// run steps through it and reports whether the anomaly showed.
	run func(s *stage) (anomaly bool)
	// What each level does about it: "possible", or "no", and who conflicts.
	serializable, snapshot string
}

// stage drives transactions by hand. Errors that are no conflicts end the test.
type stage struct {
	t         *testing.T
	engine    engine
	level     depgraph.Level
	pause     func(commit bool) // before each step
	conflicts []string
}

// actor is a transaction on the stage.
type actor struct {
	s    *stage
	name string
	x    txn
}

func (s *stage) begin(name string) *actor {
	s.t.Helper()
	return s.beginWith(name, false)
}

func (s *stage) beginWith(name string, readOnly bool) *actor {
	s.t.Helper()
	x, err := s.engine.begin(s.level, readOnly)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(x.discard)
	return &actor{s, name, x}
}

func (a *actor) check(err error) {
	a.s.t.Helper()
	if err != nil {
		a.s.t.Fatalf("%s: %v", a.name, err)
	}
}

func (a *actor) get(key string) string {
	a.s.t.Helper()
	a.s.pause(false)
	v, _, err := a.x.get(0, key)
	a.check(err)
	return v
}

func (a *actor) put(key, value string) {
	a.s.t.Helper()
	a.s.pause(false)
	a.check(a.x.put(0, key, value))
}

func (a *actor) remove(key string) {
	a.s.t.Helper()
	a.s.pause(false)
	a.check(a.x.remove(0, key))
}

// scan returns the pairs with a prefix, as "key=value key=value".
func (a *actor) scan(prefix string) string {
	a.s.t.Helper()
	a.s.pause(false)
	found, err := a.x.scan(0, prefix, prefix+"~", false)
	a.check(err)
	back, err := a.x.scan(0, prefix, prefix+"~", true)
	a.check(err)
	slices.Reverse(back)
	if !slices.Equal(found, back) {
		a.s.t.Fatalf("%s: %v forward, %v backward", a.name, found, back)
	}
	var texts []string
	for _, p := range found {
		texts = append(texts, p.key+"="+p.value)
	}
	return strings.Join(texts, " ")
}

// commit reports whether the transaction happened.
func (a *actor) commit() bool {
	a.s.t.Helper()
	a.s.pause(true)
	err := a.x.commit()
	if errors.Is(err, errConflict) {
		a.s.conflicts = append(a.s.conflicts, a.name)
		return false
	}
	a.check(err)
	return true
}

// set commits values before the play begins.
func (s *stage) set(pairs ...string) {
	s.t.Helper()
	a := s.begin("T0")
	for i := 0; i < len(pairs); i += 2 {
		a.put(pairs[i], pairs[i+1])
	}
	if !a.commit() {
		s.t.Fatal("the first transaction had a conflict")
	}
}

// now is the committed value of a key.
func (s *stage) now(key string) string {
	s.t.Helper()
	a := s.beginWith("reader", true)
	v := a.get(key)
	a.commit()
	return v
}

// outcome is what the table says of a run.
func (s *stage) outcome(anomaly bool) string {
	o := "no"
	if anomaly {
		o = "possible"
	}
	if len(s.conflicts) > 0 {
		o += "; " + strings.Join(s.conflicts, " and ") + " conflicts"
	}
	return o
}

// The names of transactions are those of docs/isolation.md.
var table = []interleaving{
	{"dirty write (P0, G0)", func(s *stage) bool {
		s.set("x", "0", "y", "0")
		t1, t2 := s.begin("T1"), s.begin("T2")
		t1.put("x", "1")
		t2.put("x", "2")
		t2.put("y", "2")
		t1.put("y", "1")
		t1.commit()
		t2.commit()
		return s.now("x") != s.now("y")
	}, "no", "no; T2 conflicts"},
	{"aborted read (G1a)", func(s *stage) bool {
		s.set("x", "0")
		t1, t2 := s.begin("T1"), s.begin("T2")
		t1.put("x", "1")
		before := t2.get("x")
		t1.x.discard()
		after := t2.get("x")
		t2.commit()
		return before != "0" || after != "0" || s.now("x") != "0"
	}, "no", "no"},
	{"intermediate read (G1b)", func(s *stage) bool {
		s.set("x", "0")
		t1, t2 := s.begin("T1"), s.begin("T2")
		t1.put("x", "1")
		before := t2.get("x")
		t1.put("x", "2")
		t1.commit()
		after := t2.get("x")
		t2.commit()
		return before != "0" || after != "0" || s.now("x") != "2"
	}, "no", "no"},
	{"circular information flow (G1c)", func(s *stage) bool {
		s.set("x", "0", "y", "0")
		t1, t2 := s.begin("T1"), s.begin("T2")
		t1.put("x", "1")
		t2.put("y", "2")
		y, x := t1.get("y"), t2.get("x")
		t1.commit()
		t2.commit()
		return y == "2" && x == "1"
	}, "no; T2 conflicts", "no"},
	{"lost update (P4)", func(s *stage) bool {
		s.set("x", "100")
		t1, t2 := s.begin("T1"), s.begin("T2")
		seen1, seen2 := t1.get("x"), t2.get("x")
		t1.put("x", seen1+"+1")
		t2.put("x", seen2+"+2")
		first, second := t1.commit(), t2.commit()
		return first && second && s.now("x") != "100+1+2"
	}, "no; T2 conflicts", "no; T2 conflicts"},
	{"lost update of a new key", func(s *stage) bool {
		t1, t2 := s.begin("T1"), s.begin("T2")
		seen1, seen2 := t1.get("x"), t2.get("x")
		t1.put("x", seen1+"1")
		t2.put("x", seen2+"2")
		first, second := t1.commit(), t2.commit()
		return first && second
	}, "no; T2 conflicts", "no; T2 conflicts"},
	{"read skew (G-single)", func(s *stage) bool {
		s.set("x", "50", "y", "50")
		t1, t2 := s.beginWith("T1", true), s.begin("T2")
		x := t1.get("x")
		t2.get("x")
		t2.get("y")
		t2.put("x", "25")
		t2.put("y", "75")
		t2.commit()
		y := t1.get("y")
		t1.commit()
		return x != "50" || y != "50"
	}, "no", "no"},
	{"read skew, then a write (G-single)", func(s *stage) bool {
		s.set("x", "50", "y", "50")
		t1, t2 := s.begin("T1"), s.begin("T2")
		x := t1.get("x")
		t2.put("x", "25")
		t2.put("y", "75")
		t2.commit()
		y := t1.get("y")
		t1.remove("y")
		t1.commit()
		return x != "50" || y != "50" || s.now("y") != "75"
	}, "no; T1 conflicts", "no; T1 conflicts"},
	{"write skew (G2-item)", func(s *stage) bool {
		s.set("x", "on", "y", "on")
		t1, t2 := s.begin("T1"), s.begin("T2")
		if t1.get("y") == "on" {
			t1.put("x", "off")
		}
		if t2.get("x") == "on" {
			t2.put("y", "off")
		}
		t1.commit()
		t2.commit()
		return s.now("x") == "off" && s.now("y") == "off"
	}, "no; T2 conflicts", "possible"},
	{"phantom in a repeated read", func(s *stage) bool {
		s.set("p/1", "a")
		t1, t2 := s.beginWith("T1", true), s.begin("T2")
		before := t1.scan("p/")
		t2.put("p/2", "b")
		t2.remove("p/1")
		t2.commit()
		after := t1.scan("p/")
		t1.commit()
		return before != "p/1=a" || after != before
	}, "no", "no"},
	{"phantom in a predicate (G2)", func(s *stage) bool {
		t1, t2 := s.begin("T1"), s.begin("T2")
		if t1.scan("p/") == "" {
			t1.put("p/1", "a")
		}
		if t2.scan("p/") == "" {
			t2.put("p/2", "b")
		}
		t1.commit()
		t2.commit()
		last := s.beginWith("T3", true)
		return last.scan("p/") == "p/1=a p/2=b"
	}, "no; T2 conflicts", "possible"},
	{"phantom by deleting (G2)", func(s *stage) bool {
		s.set("p/1", "a", "p/2", "b")
		t1, t2 := s.begin("T1"), s.begin("T2")
		if t1.scan("p/") == "p/1=a p/2=b" {
			t1.remove("p/1") // one of them may go
		}
		if t2.scan("p/") == "p/1=a p/2=b" {
			t2.remove("p/2")
		}
		t1.commit()
		t2.commit()
		last := s.beginWith("T3", true)
		return last.scan("p/") == ""
	}, "no; T2 conflicts", "possible"},
	{"read-only transaction anomaly", func(s *stage) bool {
		s.set("checking", "0", "savings", "0")
		t1, t2 := s.begin("T1"), s.begin("T2")
		overdrawn := t2.get("checking") == "0" && t2.get("savings") == "0"
		if t1.get("savings") == "0" {
			t1.put("savings", "20")
		}
		t1.commit()
		t3 := s.beginWith("T3", true)
		sees := t3.get("checking") + "/" + t3.get("savings")
		t3.commit()
		if overdrawn {
			t2.put("checking", "-11") // 10, and a fee
		}
		t2.commit()
		// T3 saw the deposit and not the withdrawal: then no fee was due.
		return sees == "0/20" && s.now("checking") == "-11"
	}, "no; T2 conflicts", "possible"},
}

// runTable runs every interleaving at a level. pause is what happens
// before each step.
func runTable(t *testing.T, fresh func(t *testing.T) engine, pause func(t *testing.T, e engine, commit bool)) {
	for _, level := range []depgraph.Level{depgraph.Serializable, depgraph.SnapshotIsolation} {
		for _, c := range table {
			want := c.serializable
			if level == depgraph.SnapshotIsolation {
				want = c.snapshot
			}
			t.Run(fmt.Sprint(levelName(level), "/", c.name), func(t *testing.T) {
				e := fresh(t)
				s := &stage{t: t, engine: e, level: level, pause: func(commit bool) { pause(t, e, commit) }}
				if got := s.outcome(c.run(s)); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			})
		}
	}
}

func levelName(level depgraph.Level) string {
	if level == depgraph.SnapshotIsolation {
		return "SnapshotIsolation"
	}
	return "Serializable"
}

func TestTableOnTheToy(t *testing.T) {
	runTable(t, func(*testing.T) engine { return newToy(bugNone) }, func(*testing.T, engine, bool) {})
}

// The table that users read says what the tests find.
func TestTableIsTheOneInTheDocuments(t *testing.T) {
	page, err := os.ReadFile("../../docs/isolation.md")
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(strings.TrimSpace(line), "|"); len(cells) == 5 && strings.HasPrefix(cells[2], " no") {
			documented = append(documented, fmt.Sprint(strings.TrimSpace(cells[1]), ": ",
				strings.TrimSpace(cells[2]), ", ", strings.TrimSpace(cells[3])))
		}
	}
	var tested []string
	for _, c := range table {
		tested = append(tested, fmt.Sprint(c.name, ": ", c.serializable, ", ", c.snapshot))
	}
	if !slices.Equal(documented, tested) {
		t.Errorf("docs/isolation.md has\n%s\n\nthe tests\n%s", strings.Join(documented, "\n"), strings.Join(tested, "\n"))
	}
}
