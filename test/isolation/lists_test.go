package isolation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
)

// listsConfig is a run of transactions that append to lists and read them.
// Every round has lists of its own, and is checked by itself.
type listsConfig struct {
	level  depgraph.Level
	rounds int
	txns   int // of a round, over all clients
	seed   uint64
}

const (
	listClients = 4
	listGroups  = 4 // range reads read a group
	groupLists  = 4
)

// lists is a round in progress.
type lists struct {
	engine engine
	level  depgraph.Level
	round  int
	epoch  time.Time
	next   atomic.Int64 // element

	mu      sync.Mutex // guards history
	history []depgraph.Txn
}

// runLists runs lists on e and checks what came out.
func runLists(e engine, c listsConfig) error {
	r := rand.New(rand.NewPCG(c.seed, 1))
	for round := range c.rounds {
		l := &lists{engine: e, level: c.level, round: round, epoch: time.Now()}
		err := whileDisturbed(e, r.Uint64(), listClients, func(client int, seed uint64) error {
			return l.client(rand.New(rand.NewPCG(seed, 2)), c.txns/listClients)
		})
		if err == nil && r.IntN(2) == 0 {
			err = e.reopen()
		}
		if err == nil {
			err = l.readAll()
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
		found, err := depgraph.Check(l.history, c.level)
		if err != nil {
			return err
		}
		if len(found) > 0 {
			return fmt.Errorf("round %d of %d transactions:\n%s", round, len(l.history), found)
		}
	}
	return nil
}

// whileDisturbed runs clients while things happen to e that must not show.
func whileDisturbed(e engine, seed uint64, clients int, client func(n int, seed uint64) error) error {
	errs := make([]error, clients+1)
	stop := make(chan struct{})
	var disturber, wg sync.WaitGroup
	disturber.Go(func() {
		r := rand.New(rand.NewPCG(seed, 3))
		for errs[clients] == nil {
			select {
			case <-stop:
				return
			case <-time.After(time.Duration(r.IntN(4)) * time.Millisecond):
				errs[clients] = e.disturb(r)
			}
		}
	})
	for n := range clients {
		wg.Go(func() { errs[n] = client(n, seed+uint64(n)) })
	}
	wg.Wait()
	close(stop)
	disturber.Wait()
	return errors.Join(errs...)
}

func (l *lists) now() int64 { return int64(time.Since(l.epoch)) + 1 }

// listAt is where a list lies.
func (l *lists) listAt(group, i int) (space int, key string) {
	return group % spaces, fmt.Sprintf("%04d/%d/%d", l.round, group, i)
}

// listName is what a history calls it.
func listName(group, i int) string { return fmt.Sprintf("%d.%d", group, i) }

func (l *lists) client(r *rand.Rand, txns int) error {
	for range txns {
		if err := l.transact(r); err != nil {
			return err
		}
	}
	return nil
}

// transact runs one random transaction and notes it.
func (l *lists) transact(r *rand.Rand) error {
	t := depgraph.Txn{Start: l.now()}
	readOnly := r.IntN(8) == 0
	x, err := l.engine.begin(l.level, readOnly)
	if err != nil {
		return err
	}
	defer x.discard()
	ops := 1 + r.IntN(5)
	for range ops {
		if r.IntN(50) == 0 {
			time.Sleep(time.Duration(r.IntN(500)) * time.Microsecond)
		}
		if err := l.step(r, x, &t, readOnly); err != nil {
			return err
		}
	}
	if r.IntN(20) == 0 {
		x.discard()
		t.Outcome = depgraph.Aborted
	} else if err := x.commit(); errors.Is(err, errConflict) && !readOnly {
		t.Outcome = depgraph.Aborted
	} else if err != nil {
		return err
	}
	t.End = l.now()
	l.note(t)
	return nil
}

// note adds a transaction to the history. What one that did not commit read was
// the state of its beginning all the same: it counts as a transaction that only
// reads.
func (l *lists) note(t depgraph.Txn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.history = append(l.history, t)
	if t.Outcome != depgraph.Aborted {
		return
	}
	reads := depgraph.Txn{Name: fmt.Sprintf("reads of T%d", len(l.history)-1), Start: t.Start, End: t.End}
	own := make(map[string]int)
	for _, op := range t.Ops {
		if op.Append {
			own[op.Key]++
			continue
		}
		op.List = op.List[:max(len(op.List)-own[op.Key], 0)]
		reads.Ops = append(reads.Ops, op)
	}
	l.history = append(l.history, reads)
}

// step runs one random operation of a transaction and notes it in t.
func (l *lists) step(r *rand.Rand, x txn, t *depgraph.Txn, readOnly bool) error {
	group, i := r.IntN(listGroups), r.IntN(groupLists)
	space, key := l.listAt(group, i)
	name := listName(group, i)
	switch n := r.IntN(10); {
	case n < 3 || readOnly && n < 7:
		return l.read(x, t, space, key, name, nil)
	case n < 5 && !readOnly && l.level == depgraph.Serializable:
		// Append blindly. Under snapshot isolation merges do not conflict with
		// each other, which lists would show as lost updates.
		e := int(l.next.Add(1))
		t.Ops = append(t.Ops, depgraph.Append(name, e))
		return x.append(space, key, element(e))
	case n < 8 && !readOnly: // read and write
		return l.read(x, t, space, key, name, func(old string) error {
			e := int(l.next.Add(1))
			t.Ops = append(t.Ops, depgraph.Append(name, e))
			return x.put(space, key, old+element(e))
		})
	}
	return l.readGroup(x, t, group, r.IntN(2) == 0)
}

func (l *lists) read(x txn, t *depgraph.Txn, space int, key, name string, then func(old string) error) error {
	text, _, err := x.get(space, key)
	if err != nil {
		return err
	}
	list, err := elements(text)
	if err != nil {
		return err
	}
	t.Ops = append(t.Ops, depgraph.Read(name, list...))
	if then == nil {
		return nil
	}
	return then(text)
}

func (l *lists) readGroup(x txn, t *depgraph.Txn, group int, backward bool) error {
	space, start := l.listAt(group, 0)
	_, end := l.listAt(group, groupLists)
	found, err := x.scan(space, start, end, backward)
	if err != nil {
		return err
	}
	shown := make(map[string]string)
	for _, p := range found {
		shown[p.key] = p.value
	}
	if len(shown) != len(found) {
		return fmt.Errorf("a scan shows a key twice: %v", found)
	}
	for i := range groupLists {
		_, key := l.listAt(group, i)
		list, err := elements(shown[key])
		if err != nil {
			return err
		}
		delete(shown, key)
		t.Ops = append(t.Ops, depgraph.RangeRead(listName(group, i), list...))
	}
	if len(shown) > 0 {
		return fmt.Errorf("a scan of %s to %s shows %v", start, end, shown)
	}
	return nil
}

// readAll ends the history with a transaction that reads everything, key by key
// and by scans.
func (l *lists) readAll() error {
	t := depgraph.Txn{Name: "the last", Start: l.now()}
	x, err := l.engine.begin(l.level, true)
	if err != nil {
		return err
	}
	defer x.discard()
	for group := range listGroups {
		for i := range groupLists {
			space, key := l.listAt(group, i)
			if err := l.read(x, &t, space, key, listName(group, i), nil); err != nil {
				return err
			}
		}
		for _, backward := range []bool{false, true} {
			if err := l.readGroup(x, &t, group, backward); err != nil {
				return err
			}
		}
	}
	if err := x.commit(); err != nil {
		return err
	}
	t.End = l.now()
	l.note(t)
	return nil
}

// element is the text of a list's element. Some are long, so that lists cross
// the length from which values are separated.
func element(e int) string {
	pad := 0
	if e%7 == 0 {
		pad = 150
	}
	return strconv.Itoa(e) + strings.Repeat("~", pad) + ","
}

// elements is the list of a text.
func elements(text string) ([]int, error) {
	var list []int
	for text != "" {
		one, rest, ok := strings.Cut(text, ",")
		e, err := strconv.Atoi(strings.TrimRight(one, "~"))
		if err != nil || !ok || element(e) != one+"," {
			return nil, fmt.Errorf("%q is not the text of a list", text)
		}
		list = append(list, e)
		text = rest
	}
	return list, nil
}
