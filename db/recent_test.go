package db

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/internal/base"
)

func readOf(keys ...string) *readSet {
	r := new(readSet)
	for _, k := range keys {
		r.addKey(0, []byte(k))
	}
	r.seal()
	return r
}

func TestRecentLogKnowsWhatWasWrittenSince(t *testing.T) {
	var l recentLog
	l.start(10)
	l.add(11, 0, base.KindSet, []byte("a"), []byte("value"))
	l.add(12, 0, base.KindMerge, []byte("b"), nil)
	l.add(14, 0, base.KindRangeDelete, []byte("m"), []byte("p"))
	l.add(15, 7, base.KindDelete, []byte("c"), nil)
	for _, c := range []struct {
		read  *readSet
		since base.SeqNum
		hit   bool
	}{
		{readOf("a"), 10, true},
		{readOf("a"), 11, false},
		{readOf("b"), 11, true},
		{readOf("b"), 12, false},
		{readOf("n"), 13, true},
		{readOf("p"), 13, false},
		{readOf("c"), 10, false}, // another keyspace's
		{readOf("x", "y", "m"), 10, true},
	} {
		hit, known := l.wrote(c.read, c.since)
		if !known || hit != c.hit {
			t.Errorf("%s since %d: %v, %v", c.read.arena, c.since, hit, known)
		}
	}
	if _, known := l.wrote(readOf("a"), 9); known {
		t.Error("knows what was before it began")
	}
	for range recentQuietMax + 1 {
		l.follow(false, 15)
	}
	if _, known := l.wrote(readOf("a"), 20); known {
		t.Error("knows after it was stopped")
	}
}

func TestRecentLogForgetsAFailedGroup(t *testing.T) {
	l := recentLog{max: 100}
	l.start(5)
	l.add(6, 0, base.KindSet, []byte("kept"), nil)
	for seq := base.SeqNum(7); seq < 40; seq++ {
		l.add(seq, 0, base.KindSet, fmt.Appendf(nil, "failed%d", seq), nil)
	}
	l.forget(6)
	l.add(8, 0, base.KindSet, []byte("later"), nil)
	if hit, known := l.wrote(readOf("failed7", "failed38", "failed39"), 6); hit || !known {
		t.Errorf("a failed write: hit %v, known %v", hit, known)
	}
	if hit, known := l.wrote(readOf("later"), 6); !hit || !known {
		t.Errorf("a later write: hit %v, known %v", hit, known)
	}
}

func TestRecentLogIsBoundedAndSaysHowFarItReaches(t *testing.T) {
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	l := recentLog{max: 2000}
	l.start(0)
	type write struct {
		seq base.SeqNum
		key []byte
	}
	var all []write
	seq := base.SeqNum(0)
	unknown := 0
	for range 3000 {
		seq += base.SeqNum(1 + rng.IntN(3))
		for range 1 + rng.IntN(3) {
			key := fmt.Appendf(nil, "%d", rng.IntN(300))
			l.add(seq, 0, base.KindSet, key, nil)
			all = append(all, write{seq, key})
		}
		if size := l.older.size() + l.newer.size(); size > 2*2000+200 {
			t.Fatalf("%d bytes", size)
		}
		since := seq - min(seq, base.SeqNum(rng.IntN(200)))
		key := fmt.Appendf(nil, "%d", rng.IntN(300))
		hit, known := l.wrote(readOf(string(key)), since)
		if !known {
			unknown++
			continue
		}
		want := false
		for i := len(all) - 1; i >= 0 && all[i].seq > since; i-- {
			want = want || bytes.Equal(all[i].key, key)
		}
		if hit != want {
			t.Fatalf("seed %d: %s since %d: %v, want %v", seed, key, since, hit, want)
		}
	}
	if unknown == 0 || unknown == 3000 {
		t.Errorf("%d of 3000 questions reached too far back", unknown)
	}
}
