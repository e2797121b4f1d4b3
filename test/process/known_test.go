package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// knownEnv hands a child what is known about the store.
const knownEnv = "CORDWOOD_TEST_KNOWN"

// progress is the number of the last step of each writer, -1 before the first.
type progress [writers]int

// known is what the children that own a store have acknowledged.
type known struct {
	acked   progress
	more    progress // steps that may have been made beyond those: one for each child
	numbers numbers
	feed    feedState
}

func (k *known) init() {
	for w := range k.acked {
		k.acked[w], k.feed.Last[w] = -1, -1
	}
}

func (k *known) acknowledge(line string) error {
	var w, n int
	if _, err := fmt.Sscanf(line, "%d %d", &w, &n); err != nil || w < 0 || w >= writers {
		return fmt.Errorf("acknowledgement %q: %w", line, err)
	}
	if n > k.acked[w]+k.more[w] || n <= k.acked[w] {
		return fmt.Errorf("writer %d acknowledges %d after %d", w, n, k.acked[w])
	}
	k.acked[w], k.more[w] = n, 1
	return nil
}

// begun is a new child: each of its writers may make a step that it does not
// come to acknowledge.
func (k *known) begun() {
	for w := range k.more {
		k.more[w]++
	}
}

// ceiling is how far the writers can have come.
func (k *known) ceiling() progress {
	c := k.acked
	for w := range c {
		c[w] += k.more[w]
	}
	return c
}

// settle takes in how far they have come.
func (k *known) settle(at progress) { k.acked, k.more = at, progress{} }

// handed is what a child needs of it.
type handed struct {
	Seed       uint64
	Acked      progress
	After      uint64 // position of the feed
	Checkpoint int    // number of the last one
}

func (k *known) encode(seed uint64, checkpoint int) string {
	text, err := json.Marshal(handed{seed, k.acked, k.feed.Seq, checkpoint})
	if err != nil {
		panic(err) // numbers
	}
	return string(text)
}

// numbers are those that a sequence has given out.
type numbers struct {
	max   uint64
	given map[uint64]bool // since the last check
	since uint64          // all before it were given, or never will be
}

func (s *numbers) give(line string) error {
	var n uint64
	if _, err := fmt.Sscan(line, &n); err != nil {
		return fmt.Errorf("number %q: %w", line, err)
	}
	if s.given[n] || n <= s.since {
		return fmt.Errorf("number %d is given again", n)
	}
	if s.given == nil {
		s.given = map[uint64]bool{}
	}
	s.given[n] = true
	s.max = max(s.max, n)
	return nil
}

// check takes a number, which is a new one, and larger since there is no other
// lease left.
func (s *numbers) check(store *db.DB) error {
	seq, err := store.Sequence(sequenceKey, 1)
	if err != nil {
		return err
	}
	n, err := seq.Next()
	if err != nil {
		return err
	}
	if n <= s.max {
		return fmt.Errorf("the sequence gives %d out, it was at %d", n, s.max)
	}
	clear(s.given)
	s.max, s.since = n, n
	return seq.Close()
}

// feedState is what a feed has delivered: each step of each writer, once and in
// order.
type feedState struct {
	Seq  uint64
	Last progress
}

func (f *feedState) deliver(line string) error {
	var seq uint64
	var w, n int
	if _, err := fmt.Sscanf(line, "%d %d %d", &seq, &w, &n); err != nil || w < 0 || w >= writers {
		return fmt.Errorf("delivery %q: %w", line, err)
	}
	if seq <= f.Seq {
		return fmt.Errorf("the feed delivers commit %d after %d", seq, f.Seq)
	}
	if n != f.Last[w]+1 {
		return fmt.Errorf("the feed delivers step %d of writer %d after %d", n, w, f.Last[w])
	}
	f.Seq, f.Last[w] = seq, n
	return nil
}

// catchUp resumes the feed and reads it up to the end. By then it has delivered
// all that was committed.
func (f *feedState) catchUp(store *db.DB, marker int, at progress) error {
	feed, err := store.Subscribe(feedOf(store, f.Seq))
	if err != nil {
		return err
	}
	defer feed.Close()
	end := fmt.Appendf(nil, "%smarker", stepPrefix)
	if err := store.Put(end, fmt.Append(nil, marker)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		b, err := feed.Next(ctx)
		if err != nil {
			return err
		}
		if string(b.Changes[0].Key) == string(end) {
			v, err := b.Changes[0].Value()
			if err != nil {
				return err
			}
			f.Seq = b.Seq
			if string(v) != fmt.Sprint(marker) {
				return fmt.Errorf("the feed delivers marker %s, want %d", v, marker)
			}
			break
		}
		w, n, err := stepOf(b)
		if err != nil {
			return err
		}
		if err := f.deliver(fmt.Sprintln(b.Seq, w, n)); err != nil {
			return err
		}
	}
	if f.Last != at {
		return fmt.Errorf("the feed delivered %v, the store is at %v", f.Last, at)
	}
	return nil
}

// stepOf is the writer and the number of the step that a feed delivers.
func stepOf(b db.FeedBatch) (w, n int, err error) {
	c := b.Changes[0]
	if len(b.Changes) != 1 || c.Kind != db.ChangePut {
		return 0, 0, fmt.Errorf("commit %d has changes %v", b.Seq, b.Changes)
	}
	v, err := c.Value()
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscanf(string(c.Key), stepPrefix+"%d", &w); err != nil {
		return 0, 0, fmt.Errorf("key %q: %w", c.Key, err)
	}
	n, err = stepIn(v)
	return w, n, err
}

// feedBytes is how much of the log is kept: a feed lives as long as its child,
// so that it falls behind by the time that others take to be killed.
const feedBytes = 32 << 20

// drawOptions are those of the store of a seed. Files are small, so that
// flushes, compactions and collections are always under way.
func drawOptions(seed uint64) *db.Options {
	r := rand.New(rand.NewPCG(seed, 1))
	o := options()
	pick := func(from ...int64) int64 { return from[r.IntN(len(from))] }
	o.MemtableBytes = pick(4<<10, 64<<10, 64<<10, 512<<10)
	o.TableBytes = pick(4<<10, 64<<10, 64<<10, 512<<10)
	o.BlockBytes = int(pick(1, 500, 8<<10))
	o.ValueThreshold = int(pick(100, 512, 512, 1000))
	o.SyncInterval = time.Duration(pick(-1, int64(time.Millisecond), int64(20*time.Millisecond)))
	o.CompactionsMax = int(pick(1, 2, 4))
	o.OpenFilesMax = int(pick(8, 40, 1000))
	o.FeedBytes = feedBytes
	return o
}

// checkStore compares a store with what its writers have written. Each has come
// from floor to ceiling; how far is the result. The set of keyspaces of a
// checkpoint may be of another time.
func checkStore(store *db.DB, floor, ceiling progress, checkpoint bool) (at progress, err error) {
	s, err := newStage(store)
	if err != nil {
		return at, err
	}
	s.elsewhen = checkpoint
	want := 0
	for w := range at {
		n, keys, err := s.writers[w].check(s)
		if err != nil {
			return at, fmt.Errorf("writer %d, acknowledged %d: %w", w, floor[w], err)
		}
		if n < floor[w] || n > ceiling[w] {
			return at, fmt.Errorf("writer %d: step %d is the last, %d was acknowledged, at most %d begun", w, n, floor[w], ceiling[w])
		}
		at[w] = n
		want += keys
	}
	found, err := s.countKeys()
	if err != nil {
		return at, err
	}
	if found != want {
		return at, fmt.Errorf("%d keys, want %d", found, want)
	}
	return at, nil
}

// countKeys counts the keys of all keyspaces that stay, but for the marker and
// the sequence. Every value is read.
func (s *stage) countKeys() (found int, err error) {
	apart := []string{stepPrefix + "marker", string(sequenceKey)}
	for _, ks := range s.spaces {
		for item, err := range ks.Scan(db.All()) {
			if err != nil {
				return 0, err
			}
			if _, err := item.Value(); err != nil {
				return 0, err
			}
			if !slices.Contains(apart, string(item.Key())) {
				found++
			}
		}
	}
	return found, nil
}

// complaint is what a child has said on its standard error: nothing, if all is
// well.
func (c *child) complaint() error {
	if c.err.Len() == 0 {
		return nil
	}
	return errors.New("the child says " + c.err.String())
}
