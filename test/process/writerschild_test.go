package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// What a child says on its standard output, besides acknowledgements.
const (
	sayOpening    = "opening"
	sayOpen       = "open"
	sayClosing    = "closing"
	sayCheckpoint = "checkpoint"
)

// say prints a line with one write: it is there whole, or not.
func say(format string, args ...any) error {
	_, err := fmt.Fprintf(os.Stdout, format+"\n", args...)
	return err
}

// writersChild lets all writers go on from where they were, with a feed that
// follows them and with upkeep of every kind, until it is killed. Each commit
// that returned is acknowledged on standard output. When its standard input
// ends, it closes the store under their hands.
func writersChild(dir string) error {
	var from handed
	if err := json.Unmarshal([]byte(os.Getenv(knownEnv)), &from); err != nil {
		return err
	}
	if err := joinCgroup(); err != nil {
		return err
	}
	if err := say(sayOpening); err != nil {
		return err
	}
	store, err := db.Open(dir, drawOptions(from.Seed))
	if err != nil {
		return err
	}
	s, err := newStage(store)
	if err != nil {
		return err
	}
	works := []func() error{func() error { return follow(store, from.After) }, func() error { return upkeep(s, dir, from) }}
	for w, writer := range s.writers {
		n, _, err := writer.check(s)
		if err != nil {
			return fmt.Errorf("writer %d: %w", w, err)
		}
		if n < from.Acked[w] {
			return fmt.Errorf("writer %d is at step %d, %d was acknowledged", w, n, from.Acked[w])
		}
		works = append(works, func() error { return work(s, w, n) })
	}
	var wg sync.WaitGroup
	errs := make([]error, len(works))
	for i, f := range works {
		wg.Go(func() {
			errs[i] = f()
			if errs[i] != nil && !errors.Is(errs[i], db.ErrClosed) {
				fmt.Fprintln(os.Stderr, errs[i]) // now: the others go on
			}
		})
	}
	if err := errors.Join(say(sayOpen), starve()); err != nil {
		return err
	}
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	if err := say(sayClosing); err != nil {
		return err
	}
	err = store.Close()
	wg.Wait()
	return err
}

// work makes the steps of a writer after step last.
func work(s *stage, w, last int) error {
	for n := last + 1; ; n++ {
		if err := s.writers[w].step(s, n); err != nil {
			return err
		}
		if err := say("ack %d %d", w, n); err != nil {
			return err
		}
	}
}

// feedOf is the feed of all steps behind a position.
func feedOf(store *db.DB, after uint64) db.FeedOptions {
	return db.FeedOptions{Resume: true, After: after, Keyspaces: []*db.Keyspace{store.Default()}, Range: db.Prefix([]byte(stepPrefix))}
}

// follow reads the feed of all steps behind a position, and tells what it gets.
func follow(store *db.DB, after uint64) error {
	feed, err := store.Subscribe(feedOf(store, after))
	if err != nil {
		return err
	}
	defer feed.Close()
	for b, err := range feed.All(context.Background()) {
		if err != nil {
			return err
		}
		if strings.HasSuffix(string(b.Changes[0].Key), "marker") {
			continue
		}
		w, n, err := stepOf(b)
		if err != nil {
			return err
		}
		if err := say("feed %d %d %d", b.Seq, w, n); err != nil {
			return err
		}
	}
	return nil
}

// upkeep makes checkpoints, flushes, compacts, collects, and looks at all that
// there is through snapshots.
func upkeep(s *stage, dir string, from handed) error {
	ctx := context.Background()
	number := from.Checkpoint
	checkpoint := func() error {
		number++
		if err := say(sayCheckpoint); err != nil {
			return err
		}
		if err := s.store.Checkpoint(ctx, checkpointDir(dir, number)); err != nil {
			return err
		}
		return say("checkpointed")
	}
	jobs := []func() error{
		checkpoint,
		func() error { return s.store.Flush(ctx) },
		func() error { return s.checkSnapshot() },
		func() error { return s.store.Compact(ctx, db.All()) },
		func() error { return s.store.CollectGarbage(ctx, 0) },
		func() error { return s.spaces[inOne].Compact(ctx, db.All()) },
		func() error { return s.checkSnapshot() },
		func() error { return s.store.Sync() },
	}
	for i := 0; ; i++ {
		time.Sleep(time.Duration(rand.Int64N(int64(40 * time.Millisecond))))
		if err := jobs[i%len(jobs)](); err != nil {
			return err
		}
	}
}

// checkSnapshot compares what a snapshot of the running store shows with what
// the writers can have written by then.
func (s *stage) checkSnapshot() error {
	snapshot, err := s.store.Snapshot()
	if err != nil {
		return err
	}
	defer snapshot.Close()
	at := *s
	at.snapshot, at.elsewhen = snapshot, true
	for w, writer := range at.writers {
		if _, _, err := writer.check(&at); err != nil {
			return fmt.Errorf("snapshot of writer %d: %w", w, err)
		}
	}
	return nil
}

// keyspaceWriter makes a keyspace in each even step and drops it in the next.
type keyspaceWriter struct{ w int }

// changed is the keyspace that step n makes or drops.
func changed(n int) string { return fmt.Sprintf("changing/%d", n/2) }

var someKey = []byte("some")

func (k *keyspaceWriter) step(s *stage, n int) error {
	b := s.store.NewBatch()
	if n%2 == 0 {
		ks, err := s.store.Keyspace(changed(n), nil)
		if err != nil {
			return err
		}
		if err := b.In(ks).Put(someKey, make([]byte, 100+n%1000)); err != nil {
			return err
		}
	} else if err := s.store.DropKeyspace(changed(n)); err != nil && !errors.Is(err, db.ErrNoKeyspace) {
		return err
	}
	return errors.Join(b.Put(stepKey(k.w), stepValue(n)), s.store.Apply(b, db.Sync))
}

func (k *keyspaceWriter) check(s *stage) (n, keys int, err error) {
	n, keys, err = lastStep(s.in(inDefault), k.w)
	if err != nil || s.elsewhen {
		return n, keys, err
	}
	names := slices.DeleteFunc(s.store.Keyspaces(), func(name string) bool { return !strings.HasPrefix(name, "changing/") })
	switch {
	case len(names) == 0: // dropped, or about to be made
	case n%2 == 0 && slices.Equal(names, []string{changed(n)}):
		ks, err := s.store.Keyspace(names[0], nil)
		if err != nil {
			return n, keys, err
		}
		return n, keys, want(ks, someKey, make([]byte, 100+n%1000))
	case n%2 != 0 && slices.Equal(names, []string{changed(n + 1)}):
	default:
		return n, keys, fmt.Errorf("keyspaces %q after step %d", names, n)
	}
	return n, keys, nil
}
