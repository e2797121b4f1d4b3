package files

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/result"
)

// earlyKill is how soon after its start a victim is killed that is to die while
// it opens the store, or shortly after.
const earlyKill = 40 * time.Millisecond

// Stores of Kill are small inside, so that kills also hit flushes, compactions and
// files being changed.
const (
	killMemtableBytes = 256 << 10
	killCacheBytes    = 8 << 20
)

// NeedsSync reports whether Kill opens the stores of an engine with
// engine.Options.Sync although o does not ask for it: without it, the engine may
// lose what was acknowledged when its process is killed.
func NeedsSync(e *engine.Engine, o engine.Options) bool { return e.LostByKill != "" && !o.Sync }

// Kill stores a tree in a child process that is killed at random moments, again
// and again, and checks after each kill that every acknowledged file is there, and
// nothing else but whole files. At the end a child may store what is missing. Most
// checks work on a copy, so that the next child has to recover too.
//
// The phase counts acknowledged files as operations; its kind "open" has the times
// that the checks took to open the store.
func Kill(ctx context.Context, o Options) ([]result.Phase, error) {
	var notes []string
	if NeedsSync(o.Engine, o.Store) {
		o.Store.Sync = true
		notes = append(notes, fmt.Sprintf("%s may lose %s by a kill without sync: it was killed with sync", o.Engine.Title, o.Engine.LostByKill))
	}
	o.Store.MemtableBytes, o.Store.CacheBytes = killMemtableBytes, killCacheBytes
	k := &killRun{
		run:          &run{Options: o, storeDir: filepath.Join(o.Dir, "store")},
		random:       rand.New(rand.NewPCG(o.Seed, 0)),
		acknowledged: make([]bool, o.Tree.Len()),
		opens:        result.NewHistogram(),
	}
	k.original = k.storeDir
	p := result.Phase{Engine: o.Engine.Name, Set: SetName, Workload: workloadKill, Round: 1, Started: time.Now(),
		Threads: o.Threads, SpeedNS: measure.Speed().Nanoseconds()}
	err := k.all(ctx)
	p.Seconds = time.Since(p.Started).Seconds()
	k.counts.enter(&p)
	p.Notes = append(append(notes, k.counts.lines(err == nil)...), o.Tree.oddities()...)
	p.Kinds = []result.Kind{
		{Name: "put", Class: result.Write, Operations: k.counts.acknowledged, Items: k.counts.acknowledged},
		{Name: "open", Class: result.Read, Operations: k.opens.Count(), Items: k.opens.Count(), Latency: k.opens},
	}
	k.add(p, err)
	return k.phases, err
}

// killRun is one run of Kill.
type killRun struct {
	*run
	original     string // of the store; storeDir may be a copy for a while
	random       *rand.Rand
	acknowledged []bool           // by place in Tree.paths; outlives every victim
	opens        result.Histogram // time to open the store, by the checks
	counts       killCounts
}

// killCounts is what a run of Kill did.
type killCounts struct {
	kills        int
	whileOpening int
	acknowledged uint64
	checks       uint64
	compared     uint64 // files
	bytes        uint64 // compared by scans
	unannounced  uint64 // whole but not acknowledged, summed over the checks
}

func (c *killCounts) enter(p *result.Phase) {
	p.Operations, p.Verified, p.Bytes = c.acknowledged, c.compared, c.bytes
	p.Counters = map[string]float64{
		"kills": float64(c.kills), "kills_while_opening": float64(c.whileOpening),
		"acknowledged_puts": float64(c.acknowledged), "checks": float64(c.checks), "compared_files": float64(c.compared),
		"compared_bytes": float64(c.bytes), "whole_but_not_acknowledged": float64(c.unannounced),
	}
}

// lines tell what was done.
func (c *killCounts) lines(right bool) []string {
	lines := []string{
		fmt.Sprintf("killed %d times, %d of them before the store was open; %d puts were acknowledged", c.kills, c.whileOpening, c.acknowledged),
		fmt.Sprintf("checked %d times: %d files compared, %d of them whole without having been acknowledged", c.checks, c.compared, c.unannounced),
	}
	if right {
		lines = append(lines, "every acknowledged file was there after each kill, byte for byte, and nothing else but whole files")
	}
	return lines
}

// all kills and checks as often as asked for, and then once lets a child store
// what is missing.
func (k *killRun) all(ctx context.Context) error {
	for _, path := range k.Tree.paths { // so that this process knows what is right
		if _, err := k.Tree.read(path); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	for n := range k.Kills + 1 {
		k.tell(Progress{Workload: workloadKill, State: fmt.Sprintf("killed %d times", n), Fraction: float64(n) / float64(k.Kills+1)})
		last := n == k.Kills
		if err := k.round(ctx, last); err != nil {
			return err
		}
		if err := k.check(ctx, last); err != nil {
			return err
		}
		k.counts.checks++
	}
	return nil
}

// round starts a victim, lets it store files, and kills it; the last one may
// store all that is missing and ends by itself.
func (k *killRun) round(ctx context.Context, last bool) error {
	v, err := k.start(ctx)
	if err != nil {
		return fmt.Errorf("starting the child: %w", err)
	}
	// Spread over the tree, whatever its size, so that files are also stored
	// anew over what is there; some kills come early.
	quota := 1 + k.random.IntN(1+4*k.Tree.Len()/k.Kills)
	delay := time.Duration(k.random.Int64N(int64(3 * time.Millisecond)))
	order := k.order(last)
	open := false
	switch {
	case last:
		quota = -1
	case k.random.IntN(4) == 0:
		quota = -1
		timer := time.AfterFunc(time.Duration(k.random.Int64N(int64(earlyKill))), v.kill)
		defer timer.Stop()
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		v.feed(k.Tree.paths, order)
	}()
	err = v.listen(k.Tree.Len(), func() { open = true }, func(ticket int) {
		k.acknowledged[ticket] = true
		k.counts.acknowledged++
		if quota--; quota == 0 {
			time.AfterFunc(delay, v.kill)
		}
	})
	if err != nil {
		v.kill()
	}
	err = errors.Join(err, v.wait())
	<-fed
	if !last {
		k.counts.kills++
		if !open {
			k.counts.whileOpening++
		}
	}
	if ctx.Err() != nil { // which killed the child
		return ctx.Err()
	}
	return err
}

// order returns the order in which files are asked for: first those that are
// not acknowledged yet, then all again and again, unless last.
func (k *killRun) order(last bool) (next func() (ticket int, ok bool)) {
	var missing []int
	for i, done := range k.acknowledged {
		if !done {
			missing = append(missing, i)
		}
	}
	k.random.Shuffle(len(missing), func(i, j int) { missing[i], missing[j] = missing[j], missing[i] })
	again := k.random.Perm(k.Tree.Len())
	place := -len(missing)
	return func() (int, bool) {
		place++
		switch {
		case place <= 0:
			return missing[len(missing)+place-1], true
		case last:
			return 0, false
		}
		return again[(place-1)%len(again)], true
	}
}

// check opens the store, or a copy, and verifies that every acknowledged file is
// there, and that what else is there is a whole file.
func (k *killRun) check(ctx context.Context, last bool) (err error) {
	onCopy := !last && k.random.IntN(4) > 0
	defer func() {
		if err != nil {
			err = fmt.Errorf("after kill %d: %w", k.counts.kills, err)
		}
	}()
	if onCopy {
		k.storeDir = filepath.Join(k.Dir, "copy")
		defer func() {
			err = errors.Join(err, os.RemoveAll(k.storeDir))
			k.storeDir = k.original
		}()
		if err := copyTree(ctx, k.storeDir, k.original); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := k.open(); err != nil {
		return err
	}
	k.opens.Record(time.Since(began), 1)
	defer func() { err = errors.Join(err, k.close()) }()
	var known []string
	for i, done := range k.acknowledged {
		if done {
			known = append(known, k.Tree.paths[i])
		}
	}
	silent := *k.run // the progress is that of the kills
	silent.Options.Progress = nil
	var p result.Phase
	if err := silent.each(ctx, &p, result.Kind{Name: "get", Class: result.Read}, known, silent.getFile); err != nil {
		return err
	}
	k.counts.compared += uint64(len(known))
	return k.scan(ctx)
}

// scan checks everything that the store shows.
func (k *killRun) scan(ctx context.Context) error {
	paths, next := k.Tree.paths, 0
	skip := func(to string, all bool) error {
		for ; next < len(paths) && (all || paths[next] < to); next++ {
			if k.acknowledged[next] {
				return wrong(paths[next], "acknowledged, and not in the scan")
			}
		}
		return nil
	}
	err := scan(ctx, k.store, func(key, value []byte, _ time.Duration) error {
		path := string(key)
		if err := skip(path, false); err != nil {
			return err
		}
		if err := k.Tree.compare(path, value); err != nil {
			return err
		}
		if next == len(paths) || paths[next] != path {
			return wrong(path, "the scan shows it twice or out of order")
		}
		if !k.acknowledged[next] {
			k.counts.unannounced++
		}
		next++
		k.counts.compared++
		k.counts.bytes += uint64(len(value))
		return nil
	})
	if err != nil {
		return err
	}
	return skip("", true)
}
