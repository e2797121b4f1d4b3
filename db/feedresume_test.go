package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// history is all that was committed to a store over its openings, for feeds to
// be compared with.
type history struct {
	t    *testing.T
	r    *rand.Rand
	fs   *vfs.Mem
	opts Options
	db   *DB

	commits   []pastCommit // ascending
	positions []uint64     // that somebody may have stored
	kept      uint64       // all later commits are surely kept
}

// pastCommit is a commit: the first and last of its sequence numbers, and its
// changes in the default keyspace.
type pastCommit struct {
	first, last uint64
	changes     string
}

func (h *history) open() {
	h.db = openMem(h.t, h.fs, h.opts)
	h.note()
}

// note remembers a position.
func (h *history) note() {
	snap, err := h.db.Snapshot()
	must(h.t, err)
	h.positions = append(h.positions, snap.Seq())
	must(h.t, snap.Close())
}

// commit writes a batch.
func (h *history) commit(spaces []*Keyspace) {
	b := h.db.NewBatch()
	var text bytes.Buffer
	n := uint64(1 + h.r.IntN(4))
	for range n {
		key := fmt.Append(nil, h.r.IntN(30))
		value := bytes.Repeat(fmt.Append(nil, len(h.commits), "."), 1+h.r.IntN(2)*100)
		switch {
		case len(spaces) > 0 && h.r.IntN(3) == 0:
			must(h.t, b.In(spaces[h.r.IntN(len(spaces))]).Put(key, value))
		case h.r.IntN(4) == 0:
			must(h.t, b.Delete(key))
			fmt.Fprintf(&text, "delete %s;", key)
		default:
			must(h.t, b.Put(key, value))
			fmt.Fprintf(&text, "put %s %s;", key, value)
		}
	}
	must(h.t, h.db.Apply(b, Durability(1+h.r.IntN(2))))
	last := h.db.visible.Load()
	h.commits = append(h.commits, pastCommit{last - n + 1, last, text.String()})
	h.positions = append(h.positions, last, last-n/2) // the latter in its midst
}

// check resumes at a position. It must get all that came later, each commit
// once and in order, or hear that it fell behind.
func (h *history) check(after uint64) {
	f, err := h.db.Subscribe(FeedOptions{Resume: true, After: after, Keyspaces: []*Keyspace{h.db.Default()}})
	if err != nil {
		h.behind(after, err)
		return
	}
	defer func() { must(h.t, f.Close()) }()
	for _, c := range h.commits {
		if c.last <= after || c.changes == "" {
			continue
		}
		b, err := f.Next(context.Background())
		if err != nil {
			h.behind(after, err)
			return
		}
		var text bytes.Buffer
		for i := range b.Changes {
			ch := &b.Changes[i]
			v, err := ch.Value()
			if err != nil {
				h.behind(after, err)
				return
			}
			fmt.Fprintf(&text, "%s %s", ch.Kind, ch.Key)
			if ch.Kind == ChangePut {
				fmt.Fprintf(&text, " %s", v)
			}
			text.WriteByte(';')
		}
		if b.Seq != c.last || text.String() != c.changes {
			h.t.Fatalf("after %d: %d has %.60s, want %d with %.60s", after, b.Seq, text.String(), c.last, c.changes)
		}
	}
	if b, ok, err := f.next(context.Background()); ok || err != nil {
		h.t.Fatalf("after %d: %d comes at the end, %v", after, b.Seq, err)
	}
}

// checkSome resumes at the newest positions and at some of the others.
func (h *history) checkSome() {
	for i, after := range h.positions {
		if i+6 > len(h.positions) || h.r.IntN(16) == 0 {
			h.check(after)
		}
	}
}

func (h *history) behind(after uint64, err error) {
	h.t.Helper()
	if !errors.Is(err, ErrFeedBehind) || after >= h.kept {
		h.t.Fatalf("after %d, kept from %d: %v", after, h.kept, err)
	}
}

func TestFeedsResumeAtEveryPosition(t *testing.T) {
	seeds := uint64(8)
	if testing.Short() {
		seeds = 2
	}
	for seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			h := &history{t: t, r: rand.New(rand.NewPCG(seed, 1)), fs: vfs.NewMem(), opts: smallOptions()}
			h.opts.FeedBytes = 1 << 30
			for opening := range 10 {
				if seed%2 == 1 && h.r.IntN(4) == 0 {
					h.opts.FeedBytes = []int64{0, 1 << 30}[h.r.IntN(2)]
				}
				h.open()
				if h.opts.FeedBytes == 0 {
					h.kept = h.db.visible.Load()
				}
				h.round(opening)
			}
		})
	}
}

// round is one opening.
func (h *history) round(opening int) {
	t, r := h.t, h.r
	h.checkSome()
	name := fmt.Sprint("space", opening)
	var spaces []*Keyspace
	for range r.IntN(4) * 30 {
		switch r.IntN(20) {
		case 0:
			must(t, h.db.Flush(context.Background()))
		case 1:
			must(t, h.db.Compact(context.Background(), All()), h.db.CollectGarbage(context.Background(), 0))
		case 2:
			h.note()
		case 3:
			if len(spaces) > 0 {
				spaces = nil
				must(t, h.db.DropKeyspace(name))
			} else {
				spaces = []*Keyspace{openSpace(t, h.db, name, nil)}
			}
		default:
			h.commit(spaces)
		}
	}
	if h.opts.FeedBytes == 0 {
		h.kept = h.db.visible.Load()
	}
	h.checkSome()
	if r.IntN(2) == 0 {
		closeDB(t, h.db)
		return
	}
	h.fs = killed(t, h.fs, h.db)
}

// A consumer of a durable feed has nothing that a power loss takes away, and
// misses nothing that comes after it.
func TestDurableFeedsAgreeWithTheStoreAfterPowerLoss(t *testing.T) {
	testkit.Sequential(t)
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 2))
		fs := vfs.NewMem()
		opts := smallOptions()
		opts.FeedBytes = 1 << 30
		opts.SyncInterval = -1
		have := make(map[string]string)
		var after uint64
		for round := range 25 {
			store := openMem(t, fs, opts)
			f := subscribe(t, store, FeedOptions{Resume: true, After: after, Durable: true})
			must(t, store.Sync())
			drain(t, f, have)
			if want := contentsOf(t, store); !maps.Equal(have, want) {
				t.Fatalf("seed %d, round %d: the feed gives %d keys, the store has %d", seed, round, len(have), len(want))
			}
			for i := range r.IntN(100) {
				must(t, store.Put(fmt.Append(nil, i%40), bytes.Repeat(fmt.Append(nil, round, "."), 1+i%3*60)))
				switch r.IntN(50) {
				case 0:
					must(t, store.Flush(context.Background()))
				case 1:
					must(t, store.Sync())
				}
			}
			for {
				b, ok, err := f.next(context.Background())
				must(t, err)
				if !ok {
					break
				}
				for i := range b.Changes {
					v, err := b.Changes[i].Value()
					must(t, err)
					have[string(b.Changes[i].Key)] = string(v)
				}
			}
			after = f.Position()
			must(t, f.Close())
			next := fs.CrashClone(func(vfs.CrashItem) vfs.CrashChoice {
				return []vfs.CrashChoice{vfs.CrashDrop, vfs.CrashKeep}[r.IntN(2)]
			})
			closeDB(t, store)
			fs = next
		}
	}
}
