package depgraph

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is a kind of anomaly, roughly from the worst to the mildest.
type Kind uint8

const (
	// Garbage: an element that nobody appended.
	Garbage Kind = iota
	// Duplicate: an element that is twice in a list.
	Duplicate
	// Incompatible: two reads of a list of which neither is a prefix of the other.
	Incompatible
	// Internal: a read that does not fit what its own transaction read and
	// appended before.
	Internal
	// G0 is a dirty write: a cycle of ww.
	G0
	// G1a is an aborted read: an element of a transaction that did not commit.
	G1a
	// G1b is an intermediate read: a list that another transaction was not
	// done with.
	G1b
	// G1c is circular information flow: a cycle of ww and wr.
	G1c
	// LostUpdate: two transactions that read the same state of a list and both
	// appended to it (P4).
	LostUpdate
	// GSingle is read skew: a cycle with one rw.
	GSingle
	// GNonadjacent is a cycle with several rw, no two in a row: like GSingle,
	// snapshot isolation excludes it.
	GNonadjacent
	// G2Item is write skew: a cycle with two or more rw.
	G2Item
	// G2 is the same with a range read: a phantom.
	G2
)

var kindNames = [...]string{
	Garbage:      "garbage read",
	Duplicate:    "duplicate element",
	Incompatible: "incompatible orders",
	Internal:     "internal inconsistency",
	G0:           "G0 (dirty write)",
	G1a:          "G1a (aborted read)",
	G1b:          "G1b (intermediate read)",
	G1c:          "G1c (circular information flow)",
	LostUpdate:   "P4 (lost update)",
	GSingle:      "G-single (read skew)",
	GNonadjacent: "G-nonadjacent",
	G2Item:       "G2-item (write skew)",
	G2:           "G2 (phantom)",
}

// String is the name of the kind as reports show it.
func (k Kind) String() string { return kindNames[k] }

// Level is an isolation level, with real-time order.
type Level uint8

const (
	// Serializable is strict serializability: no anomaly at all.
	Serializable Level = iota
	// SnapshotIsolation allows cycles with two rw in a row: G2Item, G2.
	SnapshotIsolation
)

// Anomaly is the smallest example of one kind that a history has.
type Anomaly struct {
	Kind     Kind
	RealTime bool   // the cycle needs an rt edge: without the clock nobody can tell
	Txns     []int  // indexes into the history; those of a cycle, in its order
	Text     string // several lines, for people
}

// Anomalies is what Check found.
type Anomalies []Anomaly

// Kinds are the kinds found, ascending, each once.
func (a Anomalies) Kinds() []Kind {
	var kinds []Kind
	for _, x := range a {
		kinds = append(kinds, x.Kind)
	}
	slices.Sort(kinds)
	return slices.Compact(kinds)
}

// String is the report.
func (a Anomalies) String() string {
	if len(a) == 0 {
		return "no anomalies"
	}
	var b strings.Builder
	for _, x := range a {
		b.WriteString(x.Text)
	}
	return b.String()
}

// Check looks for what a level forbids: one anomaly of each kind, the smallest.
// The error says that the history is not one that can be checked: an element
// appended twice, a transaction that ends before it starts.
func Check(history []Txn, level Level) (Anomalies, error) {
	c := &checker{history: history}
	if err := c.indexAppends(); err != nil {
		return nil, err
	}
	c.decideUnknown()
	c.readVersions()
	c.checkElements()
	c.findLostUpdates()
	g := c.buildGraph()
	found := append(c.found, g.cycles(level)...)
	slices.SortStableFunc(found, func(a, b Anomaly) int { return int(a.Kind) - int(b.Kind) })
	return found, nil
}

// report adds an anomaly that is no cycle, unless there is one of its kind.
func (c *checker) report(kind Kind, txns []int, format string, args ...any) {
	if slices.ContainsFunc(c.found, func(a Anomaly) bool { return a.Kind == kind }) {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", kind, fmt.Sprintf(format, args...))
	for _, i := range txns {
		fmt.Fprintf(&b, "  %s: %s\n", name(c.history, i), c.history[i].describe())
	}
	c.found = append(c.found, Anomaly{Kind: kind, Txns: txns, Text: b.String()})
}

// name is how reports call a transaction.
func name(history []Txn, i int) string {
	if n := history[i].Name; n != "" {
		return n
	}
	return fmt.Sprintf("T%d", i)
}
