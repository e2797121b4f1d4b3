package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cordwood-db/cordwood/db"
)

// earlyKill is how soon after its start a child is killed that is to die while
// it opens the store, or shortly after.
const earlyKill = 40 * time.Millisecond

// killRun is one run of files -kill.
type killRun struct {
	*fileRun
	random       *rand.Rand
	acknowledged []bool // by place in tree.paths; outlives every child
	checks       atomic.Uint64
	opens        *hdrhistogram.Histogram // time to open the store, by the checks
	counts       killCounts
}

// killCounts is what a run of files -kill did.
type killCounts struct {
	Kills        int    `json:"kills"`
	WhileOpening int    `json:"kills_while_opening"`
	Acknowledged uint64 `json:"acknowledged_puts"`
	Checks       uint64 `json:"checks"`
	Compared     uint64 `json:"compared_files"`
	Bytes        uint64 `json:"compared_bytes"`
	Unannounced  uint64 `json:"whole_but_not_acknowledged"` // summed over the checks
}

// runKills stores a tree in children that are killed at random moments, and
// checks after each kill that every acknowledged file is there.
func runKills(ctx context.Context, s *session) ([]result, error) {
	t, err := s.openTree(ctx)
	if err != nil {
		return nil, err
	}
	for _, path := range t.paths { // so that the parent knows what is right
		if _, err := t.read(path); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
	silent := *s
	silent.bar = newProgress(io.Discard, true)
	k := &killRun{
		fileRun:      &fileRun{session: &silent, tree: t, storeDir: filepath.Join(s.dir, "store")},
		random:       rand.New(rand.NewPCG(s.config.seed, 0)),
		acknowledged: make([]bool, t.len()),
		opens:        newHistogram(),
	}
	began := time.Now()
	stop := s.bar.watch("killing and checking", uint64(s.config.kills)+1, k.checks.Load)
	err = k.rounds(ctx)
	stop()
	s.bar.clear()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	took := time.Since(began)
	k.counts.Checks = k.checks.Load()
	k.print(s.out, took, err == nil)
	r := result{Phase: "kill", Keys: t.len(), Threads: s.config.threads, Operations: k.counts.Acknowledged,
		Seconds: took.Seconds(), latencies: summarize(k.opens), Kills: &k.counts}
	return []result{r}, err
}

// rounds kills and checks as often as asked for, and then once lets the child
// store what is missing.
func (k *killRun) rounds(ctx context.Context) error {
	for n := range k.config.kills + 1 {
		last := n == k.config.kills
		if err := k.round(ctx, last); err != nil {
			return err
		}
		if err := k.check(ctx, last); err != nil {
			return err
		}
		k.checks.Add(1)
	}
	return nil
}

// print tells what was done. Results of a run that failed come before its error.
func (k *killRun) print(out io.Writer, took time.Duration, right bool) {
	c, opens := k.counts, summarize(k.opens)
	fmt.Fprintf(out, "\n%s files of %s, %s, stored by a child that was killed again and again\n\n",
		count(uint64(k.tree.len())), k.tree.root, size(k.tree.bytes))
	line := func(name, format string, args ...any) {
		fmt.Fprintf(out, "%-14s %s\n", name, fmt.Sprintf(format, args...))
	}
	line("killed", "%d times with SIGKILL, %d of them before the store was open", c.Kills, c.WhileOpening)
	line("acknowledged", "%s puts", count(c.Acknowledged))
	line("checked", "%d times: %s files compared by point reads and scans, %s scanned", c.Checks, count(c.Compared), size(c.Bytes))
	line("also there", "%s files that were not acknowledged, whole (summed over the checks)", count(c.Unannounced))
	line("opening took", "%s median, %s at most", short(opens.P50), short(opens.Max))
	line("took", "%s", took.Round(10*time.Millisecond))
	k.tree.printOddities(out)
	if right {
		fmt.Fprint(out, "\nEvery acknowledged file was there after each kill, byte for byte, and nothing else but whole files.\n")
	}
}

// round starts a child, lets it store files, and kills it; the last one may
// store all that is missing and ends by itself.
func (k *killRun) round(ctx context.Context, last bool) error {
	v, err := startVictim(ctx, k.config, k.storeDir, k.tree.root)
	if err != nil {
		return fmt.Errorf("starting the child: %w", err)
	}
	// Spread over the tree, whatever its size, so that files are also stored
	// anew over what is there; some kills come early.
	quota := 1 + k.random.IntN(1+4*k.tree.len()/k.config.kills)
	delay := time.Duration(k.random.Int64N(int64(3 * time.Millisecond)))
	order := k.order(last)
	open := false
	switch {
	case last:
		quota = -1
	case k.random.IntN(4) == 0:
		quota = -1
		delay = time.Duration(k.random.Int64N(int64(earlyKill)))
		timer := time.AfterFunc(delay, v.kill)
		defer timer.Stop()
	}
	fed := make(chan struct{})
	go func() {
		defer close(fed)
		v.feed(k.tree.paths, order)
	}()
	err = v.listen(k.tree.len(), func() { open = true }, func(ticket int) {
		k.acknowledged[ticket] = true
		k.counts.Acknowledged++
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
		k.counts.Kills++
		if !open {
			k.counts.WhileOpening++
		}
	}
	return errors.Join(ctx.Err(), err)
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
	n := k.tree.len()
	again := newPermutation(n, k.random.Uint64())
	place := -len(missing)
	return func() (int, bool) {
		place++
		switch {
		case place <= 0:
			return missing[len(missing)+place-1], true
		case last:
			return 0, false
		}
		return again.at((place - 1) % n), true
	}
}

// check opens the store and verifies that every acknowledged file is there, and
// that what else is there is a whole file.
func (k *killRun) check(ctx context.Context, last bool) (err error) {
	options := killOptions(db.NoSync)
	// Most checks write nothing, so that the next child has to recover too,
	// and may be killed while it does.
	options.ReadOnly = !last && k.random.IntN(4) > 0 && k.stored()
	began := time.Now()
	if k.store, err = db.Open(k.storeDir, options); err != nil {
		return fmt.Errorf("opening after kill %d (read-only: %v): %w", k.counts.Kills, options.ReadOnly, err)
	}
	_ = k.opens.RecordValue(int64(min(time.Since(began), latencyMax)))
	defer func() {
		err = errors.Join(err, k.store.Close())
		if err != nil {
			err = fmt.Errorf("after kill %d (read-only: %v): %w", k.counts.Kills, options.ReadOnly, err)
		}
	}()
	var known []string
	for i, done := range k.acknowledged {
		if done {
			known = append(known, k.tree.paths[i])
		}
	}
	if _, err := k.each(ctx, "get", known, k.getFile); err != nil {
		return err
	}
	k.counts.Compared += uint64(len(known))
	return k.scan(ctx)
}

// stored reports whether there is a store yet: a child that was killed at once
// may have made none.
func (k *killRun) stored() bool { return k.counts.Acknowledged > 0 }

// scan checks everything that the store shows.
func (k *killRun) scan(ctx context.Context) error {
	next, n := 0, k.tree.len()
	for item, err := range k.store.Scan(db.All()) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return fmt.Errorf("scanning: %w", err)
		}
		value, err := item.Value()
		if err != nil {
			return fmt.Errorf("scanning: value of %q: %w", item.Key(), err)
		}
		path := string(item.Key())
		for ; next < n && k.tree.paths[next] < path; next++ {
			if k.acknowledged[next] {
				return &wrongAnswer{Key: k.tree.paths[next], Problem: "acknowledged, and not in the scan"}
			}
		}
		if err := k.tree.compare(path, value); err != nil {
			return err
		}
		if next == n || k.tree.paths[next] != path {
			return &wrongAnswer{Key: path, Problem: "the scan shows it twice or out of order"}
		}
		if !k.acknowledged[next] {
			k.counts.Unannounced++
		}
		next++
		k.counts.Compared++
		k.counts.Bytes += uint64(len(value))
	}
	for ; next < n; next++ {
		if k.acknowledged[next] {
			return &wrongAnswer{Key: k.tree.paths[next], Problem: "acknowledged, and not in the scan"}
		}
	}
	return nil
}
