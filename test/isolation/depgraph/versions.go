package depgraph

import (
	"fmt"
	"slices"
)

// checker gathers what a history says about each key.
type checker struct {
	history []Txn
	keys    map[string]*keyHistory
	names   []string // of keys, in order of appearance: reports are the same each time
	counts  []bool   // by transaction: it took effect, as far as anybody can know
	found   Anomalies
}

// keyHistory is the past of one list.
type keyHistory struct {
	appends map[int]appended // by element
	last    map[int]int      // last element that each transaction appended
	reads   []read
	order   []int // the longest list that anybody read
	by      int   // who read it; -1: nobody
}

// appended is where an element came from.
type appended struct{ txn int }

// read is what a transaction saw of others: its own appends are taken off.
type read struct {
	txn  int
	list []int
	rng  bool
}

// key is the history of a key.
func (c *checker) key(name string) *keyHistory {
	k := c.keys[name]
	if k == nil {
		k = &keyHistory{appends: make(map[int]appended), last: make(map[int]int), by: -1}
		c.keys[name] = k
		c.names = append(c.names, name)
	}
	return k
}

// indexAppends notes who appended what.
func (c *checker) indexAppends() error {
	c.keys = make(map[string]*keyHistory)
	for i := range c.history {
		t := &c.history[i]
		if t.Outcome != Unknown && t.End < t.Start {
			return fmt.Errorf("%s ends before it starts", name(c.history, i))
		}
		for _, op := range t.Ops {
			k := c.key(op.Key)
			if !op.Append {
				continue
			}
			if a, twice := k.appends[op.Value]; twice {
				return fmt.Errorf("%s and %s both append %d to %s", name(c.history, a.txn), name(c.history, i), op.Value, op.Key)
			}
			k.appends[op.Value] = appended{i}
			k.last[i] = op.Value
		}
	}
	return nil
}

// decideUnknown finds the transactions that count: those that committed, and
// those of unknown outcome that one that counts has seen.
func (c *checker) decideUnknown() {
	c.counts = make([]bool, len(c.history))
	var todo []int
	for i, t := range c.history {
		if t.Outcome == Committed {
			c.counts[i] = true
			todo = append(todo, i)
		}
	}
	for len(todo) > 0 {
		i := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, op := range c.history[i].Ops {
			for _, e := range op.List {
				a, ok := c.keys[op.Key].appends[e]
				if ok && !c.counts[a.txn] && c.history[a.txn].Outcome == Unknown {
					c.counts[a.txn] = true
					todo = append(todo, a.txn)
				}
			}
		}
	}
}

// readVersions finds what each transaction that counts saw of others, checks
// that it saw its own appends, and orders each key by the longest list.
func (c *checker) readVersions() {
	for i := range c.history {
		if c.counts[i] {
			c.readsOf(i)
		}
	}
	for _, name := range c.names {
		k := c.keys[name]
		for _, r := range k.reads {
			if k.by < 0 || len(r.list) > len(k.order) {
				k.order, k.by = r.list, r.txn
			}
		}
		for _, r := range k.reads {
			if !slices.Equal(r.list, k.order[:len(r.list)]) {
				c.report(Incompatible, []int{r.txn, k.by}, "%s was read as %s and as %s", name, listText(r.list), listText(k.order))
				k.reads = nil // no order of versions follows
				k.order, k.by = nil, -1
				break
			}
		}
	}
}

// readsOf notes the first read of each key by transaction i.
func (c *checker) readsOf(i int) {
	own := make(map[string][]int)  // appended so far
	seen := make(map[string][]int) // what others had appended
	for _, op := range c.history[i].Ops {
		if op.Append {
			own[op.Key] = append(own[op.Key], op.Value)
			continue
		}
		mine := own[op.Key]
		n := len(op.List) - len(mine)
		if n < 0 || !slices.Equal(op.List[n:], mine) {
			c.report(Internal, []int{i}, "%s does not end in the transaction's own appends %s", op, listText(mine))
			continue
		}
		others, again := seen[op.Key]
		if again && !slices.Equal(others, op.List[:n]) {
			c.report(Internal, []int{i}, "%s, of which the transaction read %s before", op, listText(others))
			continue
		}
		if !again {
			seen[op.Key] = op.List[:n]
			k := c.keys[op.Key]
			k.reads = append(k.reads, read{i, op.List[:n], op.Range})
		}
	}
}

// checkElements looks at each element that was read: somebody appended it,
// once, committed it, and was done with the list.
func (c *checker) checkElements() {
	for _, name := range c.names {
		k := c.keys[name]
		for _, r := range k.reads {
			seen := make(map[int]bool, len(r.list))
			for _, e := range r.list {
				a, ok := k.appends[e]
				switch {
				case !ok:
					c.report(Garbage, []int{r.txn}, "%d in %s, which nobody appended", e, name)
				case c.history[a.txn].Outcome == Aborted:
					c.report(G1a, []int{a.txn, r.txn}, "%d in %s, whose transaction did not commit", e, name)
				case seen[e]:
					c.report(Duplicate, []int{r.txn}, "%d is twice in %s", e, name)
				}
				seen[e] = true
			}
			if len(r.list) == 0 {
				continue
			}
			end := r.list[len(r.list)-1]
			if a, ok := k.appends[end]; ok && a.txn != r.txn && k.last[a.txn] != end {
				c.report(G1b, []int{a.txn, r.txn}, "%s ends in %d, after which its transaction appended %d", name, end, k.last[a.txn])
			}
		}
	}
}

// findLostUpdates looks for two transactions that read the same state of a
// list and both appended to it. Their order need not be known.
func (c *checker) findLostUpdates() {
	for _, name := range c.names {
		k := c.keys[name]
		writer := make(map[int]int) // by length of the list that it read
		for _, r := range k.reads {
			if _, writes := k.last[r.txn]; !writes {
				continue
			}
			if other, ok := writer[len(r.list)]; ok {
				c.report(LostUpdate, []int{other, r.txn}, "both read %s as %s and appended to it", name, listText(r.list))
			}
			writer[len(r.list)] = r.txn
		}
	}
}
