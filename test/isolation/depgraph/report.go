package depgraph

import (
	"fmt"
	"slices"
	"strings"
)

// describeCycle is the anomaly of a cycle. Way through moments of the clock are
// shown as one edge.
func (g *graph) describeCycle(kind Kind, path []step) Anomaly {
	a := Anomaly{Kind: kind}
	var steps []step
	for _, st := range path {
		if g.txn(st.from) {
			steps = append(steps, st)
			a.Txns = append(a.Txns, st.from)
		}
		a.RealTime = a.RealTime || st.kind == rt
		if kind == G2Item && st.rng && st.kind == rw {
			a.Kind = G2
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s", a.Kind)
	if a.RealTime {
		b.WriteString(", by the clock")
	}
	fmt.Fprintf(&b, ": a cycle of %d transactions\n", len(steps))
	distinct := slices.Clone(a.Txns)
	slices.Sort(distinct)
	for _, i := range slices.Compact(distinct) {
		fmt.Fprintf(&b, "  %s: %s\n", name(g.history, i), g.history[i].describe())
	}
	for i, st := range steps {
		to := steps[(i+1)%len(steps)].from
		fmt.Fprintf(&b, "  %s -%s-> %s: %s\n", name(g.history, st.from), edgeNames[st.kind], name(g.history, to), g.why(st, to))
	}
	a.Text = b.String()
	return a
}

// why says what an edge follows from.
func (g *graph) why(st step, to int) string {
	verb := "read"
	if st.rng {
		verb = "range read"
	}
	switch from := name(g.history, st.from); st.kind {
	case ww:
		return fmt.Sprintf("%s appended %d to %s, then %s appended %d", from, st.edge.from, st.key, name(g.history, to), st.elem)
	case wr:
		return fmt.Sprintf("%s appended %d to %s, %s %s it", from, st.elem, st.key, name(g.history, to), verb)
	case rw:
		return fmt.Sprintf("%s %s %d elements of %s, without %d of %s", from, verb, st.edge.from, st.key, st.elem, name(g.history, to))
	default:
		return fmt.Sprintf("%s had returned before %s was begun", from, name(g.history, to))
	}
}
