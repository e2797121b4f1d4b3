package depgraph

import (
	"cmp"
	"maps"
	"slices"
)

// edgeKind is why one transaction came before another.
type edgeKind uint8

const (
	ww edgeKind = 1 << iota
	wr
	rw
	rt
)

var edgeNames = map[edgeKind]string{ww: "ww", wr: "wr", rw: "rw", rt: "rt"}

// edge leads to a transaction that came later.
type edge struct {
	to   int
	kind edgeKind
	key  string
	from int  // ww: the element before; wr, rw: how many elements were read
	elem int  // ww, rw: the element appended; wr: the one read
	rng  bool // wr, rw: by a range read
}

// graph has a node for each transaction, and one for each moment at which a
// transaction returned: see addRealTime.
type graph struct {
	history []Txn
	out     [][]edge
}

func (g *graph) add(from int, e edge) {
	if from != e.to {
		g.out[from] = append(g.out[from], e)
	}
}

// txn reports whether node v is a transaction.
func (g *graph) txn(v int) bool { return v < len(g.history) }

// buildGraph makes the edges of everything that counts.
func (c *checker) buildGraph() *graph {
	g := &graph{history: c.history, out: make([][]edge, len(c.history))}
	for _, name := range c.names {
		c.addKey(g, name, c.keys[name])
	}
	c.addRealTime(g)
	return g
}

// addKey makes the edges that follow from one list.
func (c *checker) addKey(g *graph, name string, k *keyHistory) {
	if k.by < 0 {
		return // nobody read it
	}
	// writers[i] wrote order[i]; -1 where that is unknown or did not count.
	writers := make([]int, len(k.order))
	before, beforeElem := -1, 0
	read := make(map[int]bool, len(k.order))
	for i, e := range k.order {
		writers[i] = -1
		read[e] = true
		a, ok := k.appends[e]
		if !ok || !c.counts[a.txn] {
			continue
		}
		writers[i] = a.txn
		if before >= 0 {
			g.add(before, edge{to: a.txn, kind: ww, key: name, from: beforeElem, elem: e})
		}
		before, beforeElem = a.txn, e
	}
	// Appends that nobody read came after all that somebody read, in an order
	// that is not known.
	var unread []edge
	for _, e := range slices.Sorted(maps.Keys(k.appends)) {
		if a := k.appends[e]; !read[e] && c.counts[a.txn] {
			unread = append(unread, edge{to: a.txn, key: name, elem: e})
		}
	}
	for _, e := range unread {
		if before >= 0 {
			e.kind, e.from = ww, beforeElem
			g.add(before, e)
		}
	}
	for _, r := range k.reads {
		n := len(r.list)
		if n > 0 && writers[n-1] >= 0 {
			g.add(writers[n-1], edge{to: r.txn, kind: wr, key: name, from: n, elem: k.order[n-1], rng: r.rng})
		}
		if n < len(k.order) {
			if writers[n] >= 0 {
				g.add(r.txn, edge{to: writers[n], kind: rw, key: name, from: n, elem: k.order[n], rng: r.rng})
			}
			continue
		}
		for _, e := range unread {
			e.kind, e.from, e.rng = rw, n, r.rng
			g.add(r.txn, e)
		}
	}
}

// addRealTime makes edges from each transaction to all that were begun after it
// had returned, without making the square of them: the moments of return are
// nodes in a chain; a transaction leads to its own, and the last one before it
// was begun leads to it. Two transactions at the same instant are concurrent.
func (c *checker) addRealTime(g *graph) {
	var ends []int
	for i, t := range c.history {
		if c.counts[i] && t.timed() && t.Outcome == Committed {
			ends = append(ends, i)
		}
	}
	slices.SortFunc(ends, func(a, b int) int { return cmp.Compare(c.history[a].End, c.history[b].End) })
	first := len(g.out)
	for i, txn := range ends {
		g.out = append(g.out, nil)
		g.add(txn, edge{to: first + i, kind: rt})
		if i > 0 {
			g.add(first+i-1, edge{to: first + i, kind: rt})
		}
	}
	for i, t := range c.history {
		if !c.counts[i] || !t.timed() {
			continue
		}
		n, _ := slices.BinarySearchFunc(ends, t.Start, func(txn int, start int64) int {
			return cmp.Compare(c.history[txn].End, start)
		})
		if n > 0 {
			g.add(first+n-1, edge{to: i, kind: rt})
		}
	}
}
