package depgraph

import "math"

// A cycle is looked for in two steps: components tell in linear time where one
// can be at all, which is nowhere in a history without anomalies; then a search
// from each edge that a kind of cycle must have finds the smallest.

// shape is a kind of cycle: an edge of one kind, and the way back.
type shape struct {
	kind  Kind
	first edgeKind // an edge that the cycle must have
	back  edgeKind // edges of the way back, besides rw
	rws   rwRule   // rw edges on the way back
}

// rwRule says which rw edges the way back has.
type rwRule uint8

const (
	rwNone    rwRule = iota
	rwSpread         // at least one, and no two in a row, around the whole cycle
	rwAtLeast        // at least one
)

var shapes = []shape{
	{G0, ww, ww, rwNone},
	{G1c, wr, ww | wr, rwNone},
	{GSingle, rw, ww | wr, rwNone},
	{GNonadjacent, rw, ww | wr, rwSpread},
	{G2Item, rw, ww | wr, rwAtLeast},
}

// startsMax bounds the edges from which a cycle of one kind is looked for, once
// there is one of any kind: of a history that is wrong all over, some small
// cycles will do.
const startsMax = 500

// cycles finds the smallest cycle of each kind that the level forbids.
func (g *graph) cycles(level Level) []Anomaly {
	within := g.suspects(level)
	if within == nil {
		return nil
	}
	var found []Anomaly
	s := newSearch(g, within)
	for _, sh := range shapes {
		if sh.rws == rwAtLeast && level == SnapshotIsolation {
			continue
		}
		for _, clock := range []edgeKind{0, rt} {
			sh := sh
			sh.back |= clock
			if path := s.smallest(sh, len(found) > 0); path != nil {
				found = append(found, g.describeCycle(sh.kind, path))
				break
			}
		}
	}
	return found
}

// suspects numbers the nodes of the graph by component, -1 for those on no
// cycle that the level forbids; nil if there is no such cycle.
//
// For snapshot isolation each node is there twice, by whether an rw edge led
// to it: from the second no other rw edge leads on.
func (g *graph) suspects(level Level) []int {
	copies := 1
	if level == SnapshotIsolation {
		copies = 2
	}
	of, sizes := components(len(g.out)*copies, func(v, i int) (int, bool) {
		out := g.out[v/copies]
		if i >= len(out) {
			return 0, false
		}
		e := out[i]
		switch {
		case copies == 1:
			return e.to, true
		case e.kind != rw:
			return e.to * 2, true
		case v%2 == 1:
			return -1, true
		}
		return e.to*2 + 1, true
	})
	within := make([]int, len(g.out))
	any := false
	for v := range within {
		within[v] = -1
		for i := range copies {
			if c := of[v*copies+i]; sizes[c] > 1 {
				within[v], any = 0, true
			}
		}
	}
	if !any {
		return nil
	}
	// Cycles that are looked for lie in one component of the plain graph.
	plain, _ := components(len(g.out), func(v, i int) (int, bool) {
		if i >= len(g.out[v]) {
			return 0, false
		}
		return g.out[v][i].to, true
	})
	for v := range within {
		if within[v] == 0 {
			within[v] = plain[v]
		}
	}
	return within
}

// step is an edge of a path.
type step struct {
	from int
	edge
}

// search looks for shortest ways. A place is a node with what the way to it
// had: an rw edge (bit 0), an rw edge as the last one (bit 1).
type search struct {
	g      *graph
	within []int
	round  int
	seen   []int // by place: the round in which it was reached
	cost   []int
	via    []step
	prev   []int
	queue  [2][]int // places at the current cost, and at the next
}

const (
	placeMore = 1
	placeLast = 2
	placesPer = 4
)

func newSearch(g *graph, within []int) *search {
	n := len(g.out) * placesPer
	return &search{g: g, within: within, seen: make([]int, n), cost: make([]int, n), via: make([]step, n), prev: make([]int, n)}
}

// smallest is the smallest cycle of a shape, nil if there is none. brief says
// that there is a cycle already.
func (s *search) smallest(sh shape, brief bool) []step {
	var best []step
	limit, starts := math.MaxInt, 0
	for u := range s.g.history {
		if s.within[u] < 0 {
			continue
		}
		for _, e := range s.g.out[u] {
			if e.kind != sh.first || s.within[e.to] != s.within[u] {
				continue
			}
			if starts++; starts > startsMax && (brief || best != nil) {
				return best
			}
			if path := s.wayBack(sh, step{u, e}, limit); path != nil {
				best, limit = path, size(s.g, path)-1
				if limit == 1 {
					return best // of two transactions: none is smaller
				}
			}
		}
	}
	return best
}

// size is how many transactions a cycle has.
func size(g *graph, path []step) int {
	n := 0
	for _, st := range path {
		if g.txn(st.from) {
			n++
		}
	}
	return n
}

// wayBack finds a shortest cycle that begins with first and has at most limit
// transactions.
func (s *search) wayBack(sh shape, first step, limit int) []step {
	s.round++
	start := first.to * placesPer
	if first.kind == rw {
		start |= placeLast
	}
	s.reach(start, 1, first, -1)
	for len(s.queue[0]) > 0 || len(s.queue[1]) > 0 {
		if len(s.queue[0]) == 0 {
			s.queue[0], s.queue[1] = s.queue[1], s.queue[0]
		}
		last := len(s.queue[0]) - 1
		at := s.queue[0][last]
		s.queue[0] = s.queue[0][:last]
		if path, ok := s.expand(sh, at, first.from, limit); ok {
			s.queue[0], s.queue[1] = s.queue[0][:0], s.queue[1][:0]
			return path
		}
	}
	return nil
}

// reach notes the way to a place, if it is the first or a shorter one. Leaving
// a transaction costs 1, leaving a moment nothing.
func (s *search) reach(place, cost int, via step, prev int) {
	if s.seen[place] == s.round && s.cost[place] <= cost {
		return
	}
	same := prev >= 0 && s.cost[prev] == cost
	s.seen[place], s.cost[place], s.via[place], s.prev[place] = s.round, cost, via, prev
	if same {
		s.queue[0] = append(s.queue[0], place)
	} else {
		s.queue[1] = append(s.queue[1], place)
	}
}

// expand follows the edges of a place; true with the whole cycle if one of them
// closes it. The first to close it is a shortest way up to one transaction, for
// places are taken in the order of their cost.
func (s *search) expand(sh shape, at, home, limit int) ([]step, bool) {
	v, had := at/placesPer, at%placesPer
	cost := s.cost[at]
	if s.g.txn(v) {
		cost++
	}
	for _, e := range s.g.out[v] {
		if s.within[e.to] != s.within[home] || cost > limit && e.to != home {
			continue
		}
		next := had &^ placeLast
		switch {
		case e.kind&sh.back != 0:
		case e.kind != rw || sh.rws == rwNone || sh.rws == rwSpread && had&placeLast != 0:
			continue
		default:
			next = placeMore | placeLast
		}
		if sh.rws != rwSpread {
			next &^= placeLast
		}
		if e.to != home {
			s.reach(e.to*placesPer+next, cost, step{v, e}, at)
			continue
		}
		switch {
		case sh.rws != rwNone && next&placeMore == 0:
			continue // a cycle with one rw is another kind
		case next&placeLast != 0:
			s.reach(e.to*placesPer+next, cost, step{v, e}, at)
			continue // the first edge is rw too: on through home
		}
		if cost > limit {
			continue
		}
		return s.trace(at, step{v, e}), true
	}
	return nil, false
}

// trace is the way to a place and one step more.
func (s *search) trace(at int, last step) []step {
	path := []step{last}
	for ; at >= 0; at = s.prev[at] {
		path = append(path, s.via[at])
	}
	for i, j := 0, len(path)-1; i < j; i, j = i+1, j-1 {
		path[i], path[j] = path[j], path[i]
	}
	return path
}
