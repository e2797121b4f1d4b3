package model

import (
	"context"
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit/draw"
)

// step is one kind of step of a history: its name in scripts, and how often it
// comes among all.
type step struct {
	name   string
	weight int
	do     func(*run) error
}

// steps are all kinds of steps but "options", which is the first.
var steps = []step{
	{"put", 160, func(r *run) error { return r.write('p') }},
	{"put-ttl", 46, func(r *run) error { return r.write('t') }},
	{"delete", 46, func(r *run) error { return r.write('d') }},
	{"merge", 46, func(r *run) error { return r.write('m') }},
	{"delete-range", 22, func(r *run) error { return r.write('r') }},
	{"batch", 100, (*run).applyBatch},
	{"conditional", 35, (*run).conditional},
	{"sequence", 10, (*run).useSequence},
	{"wrong", 3, (*run).callWrongly},

	{"get", 200, (*run).get},
	{"multiget", 20, (*run).multiGet},
	{"scan", 40, (*run).scanSpace},
	{"page", 20, (*run).readPage},
	{"estimate", 5, (*run).estimate},
	{"metrics", 10, (*run).checkMetrics},

	{"cursor", 20, (*run).openCursor},
	{"move", 200, (*run).moveCursor},
	{"snapshot", 15, (*run).openSnapshot},
	{"look-back", 30, (*run).useSnapshot},
	{"release", 15, (*run).closeSomething},

	{"begin", 20, (*run).beginTx},
	{"transaction", 110, (*run).useTx},
	{"commit", 20, (*run).endSomeTx},
	{"update", 10, (*run).update},
	{"update-beaten", 3, (*run).updateBeaten},

	{"subscribe", 10, (*run).openFeed},
	{"feed", 25, (*run).readFeed},

	{"keyspaces", 3, (*run).changeSpaces},
	{"dropped-keyspace", 4, (*run).useDead},

	{"flush", 6, (*run).flush},
	{"compact", 2, (*run).compact},
	{"collect", 4, (*run).collect},
	{"sync", 2, (*run).sync},
	{"checkpoint", 1, (*run).checkpoint},

	{"clock", 24, (*run).advanceClock},
	{"clock-back", 1, (*run).setClockBack},
	{"wait", 10, (*run).wait},

	{"reopen", 2, (*run).reopen},
	{"kill", 1, (*run).kill},
	{"imagine-power-loss", 2, (*run).imagine},
	{"lose-power", 1, (*run).losePower},
}

// choices and stepNamed are made of steps.
var (
	choices   []draw.Choice
	stepNamed = make(map[string]func(*run) error)
)

func init() {
	for _, s := range steps {
		choices = append(choices, draw.Choice{Name: s.name, Weight: s.weight})
		stepNamed[s.name] = s.do
	}
}

// knownStep reports whether a script may have such a step.
func knownStep(name string) bool { return name == "options" || stepNamed[name] != nil }

// step does the next operation and compares. more is false at the end.
func (r *run) step() (more bool, err error) {
	name, ok := r.draw.Next(choices)
	if !ok {
		return false, nil
	}
	r.explain()
	if do := stepNamed[name]; do != nil {
		if err := do(r); err != nil {
			return false, fmt.Errorf("%s: %w", name, err)
		}
	}
	if !r.racing {
		r.settle()
	}
	return true, nil
}

func (r *run) flush() error { return r.store.Flush(context.Background()) }

// compact compacts a part of a keyspace.
func (r *run) compact() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	rng := r.drawRange()
	r.note("compact keyspace %d %q", s.id, rng.Lower())
	if s.id == 0 && r.draw.One(2) {
		return r.store.Compact(context.Background(), rng)
	}
	return s.handle.Compact(context.Background(), rng)
}

func (r *run) collect() error {
	return r.store.CollectGarbage(context.Background(), float64(r.draw.IntN(50))/100)
}

func (r *run) sync() error {
	r.synced = len(r.log) - 1
	return r.store.Sync()
}

// wait lets time pass for the background.
func (r *run) wait() error {
	d := time.Duration(pick(r, 1, 1, 1, 10, 10, 300, 30_000)) * time.Millisecond
	r.note("wait %v", d)
	time.Sleep(d)
	return nil
}

// advanceClock sets the store's clock forward.
func (r *run) advanceClock() error {
	d := time.Duration(1+r.draw.IntN(3000)) * time.Millisecond
	clock := time.Unix(0, r.clock.Add(int64(d)))
	r.note("clock +%v: %v", d, clock.UnixNano())
	if clock.After(r.latest) {
		r.latest = clock
	}
	if clock.After(r.now) {
		r.now = clock
	}
	return nil
}

// setClockBack sets the store's clock back. What had expired may be there
// again, unless the store has acted on it already: tellTime.
func (r *run) setClockBack() error {
	if err := r.closeReaders(); err != nil {
		return err
	}
	r.settle() // so that no job goes by the time that was
	d := time.Duration(1+r.draw.IntN(20_000)) * time.Millisecond
	clock := time.Unix(0, r.clock.Add(-int64(d)))
	r.note("clock -%v: %v", d, clock.UnixNano())
	return r.tellTime()
}

// tellTime finds out by which time entries expire: the clock, or where it was
// set back, the latest time for which expired data has been dropped. It is the
// time from which a time to live counts, too.
func (r *run) tellTime() error {
	clock := time.Unix(0, r.clock.Load())
	if !clock.Before(r.latest) {
		r.now = clock
		return nil
	}
	ks, err := r.store.Keyspace(privateName, nil)
	if err != nil {
		return err
	}
	key := []byte("time")
	if err := ks.PutTTL(key, nil, time.Hour); err != nil {
		return err
	}
	for it, err := range ks.Scan(db.Prefix(key)) {
		if err != nil {
			return err
		}
		at, _ := it.ExpiresAt()
		r.now = at.Add(-time.Hour)
		r.note("time is %v", r.now.UnixNano())
		if r.now.Before(clock) || r.now.After(r.latest) {
			return fmt.Errorf("the time of expiry is %v, clock %v, never over %v", r.now, clock, r.latest)
		}
		return nil
	}
	return fmt.Errorf("a value that expires in an hour is not there")
}
