package db

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// pageStore holds the keys 0 to n-1, and others outside of the range of them.
func pageStore(t *testing.T, n int) (*DB, Range) {
	t.Helper()
	store := openMem(t, vfs.NewMem(), Options{ValueThreshold: 100})
	for i := range n {
		must(t, store.Put(pageKey(i), aheadValue(i)))
	}
	must(t, store.Put([]byte("o"), nil), store.Put([]byte("q"), nil))
	return store, Prefix([]byte("p"))
}

func pageKey(i int) []byte { return fmt.Appendf(nil, "p%04d", i) }

// number is the key's.
func (it PageItem) number(t *testing.T) (n int) {
	t.Helper()
	if _, err := fmt.Sscanf(string(it.Key), "p%d", &n); err != nil {
		t.Fatalf("key %q: %v", it.Key, err)
	}
	return n
}

func TestPagesCoverARangeInBothDirections(t *testing.T) {
	for _, n := range []int{0, 1, 9, 10, 11, 95} {
		store, all := pageStore(t, n)
		for _, r := range []Range{all, all.Backward(), all.KeysOnly(), all.KeysOnly().Backward()} {
			var token []byte
			var prevs [][]byte
			seen := 0
			want := func(seen int) int {
				if r.backward {
					return n - 1 - seen
				}
				return seen
			}
			check := func(p Page, from int) {
				t.Helper()
				for i, it := range p.Items {
					k := want(from + i)
					if it.number(t) != k || r.keysOnly != (it.Value == nil) || !r.keysOnly && !bytes.Equal(it.Value, aheadValue(k)) {
						t.Fatalf("n %d: item %d: %s, %d bytes", n, from+i, it.Key, len(it.Value))
					}
				}
			}
			for pages := 0; ; pages++ {
				p, err := ReadPage(store, r, token, 10)
				must(t, err)
				check(p, seen)
				seen += len(p.Items)
				if (p.Prev == nil) != (pages == 0) || (p.Next == nil) != (seen == n) || p.Next != nil && len(p.Items) != 10 {
					t.Fatalf("n %d, page %d: %d items, next %v, prev %v", n, pages, len(p.Items), p.Next != nil, p.Prev != nil)
				}
				if p.Prev != nil {
					prevs = append(prevs, p.Prev)
				}
				if token = p.Next; token == nil {
					break
				}
			}
			if seen != n {
				t.Fatalf("n %d: %d seen", n, seen)
			}
			for i, prev := range prevs {
				p, err := ReadPage(store, r, prev, 10)
				must(t, err)
				check(p, i*10)
				if len(p.Items) != 10 || (p.Prev == nil) != (i == 0) || p.Next == nil {
					t.Fatalf("n %d: page before %d has %d items, next %v, prev %v", n, i+1, len(p.Items), p.Next != nil, p.Prev != nil)
				}
			}
			// Back from the last page, with pages of another size.
			if len(prevs) > 0 {
				from := len(prevs) * 10
				for token := prevs[len(prevs)-1]; token != nil; {
					p, err := ReadPage(store, r, token, 7)
					must(t, err)
					from -= len(p.Items)
					check(p, from)
					token = p.Prev
				}
				if from != 0 {
					t.Fatalf("n %d: %d items are left before the first page", n, from)
				}
			}
		}
		closeDB(t, store)
	}
}

// Whatever goes and comes between two pages, what stays is shown once.
func TestPagesSkipAndRepeatNothingWhileKeysComeAndGo(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	rng := rand.New(rand.NewPCG(seed, 0))
	t.Logf("seed %d", seed)
	store, all := pageStore(t, 200)
	defer closeDB(t, store)
	for round := range 40 {
		r := all
		if round%2 == 1 {
			r = r.Backward()
		}
		seen := make(map[int]int)
		var token []byte
		for {
			p, err := ReadPage(store, r, token, 1+rng.IntN(20))
			must(t, err)
			for _, it := range p.Items {
				seen[it.number(t)]++
			}
			for range 30 {
				if i := rng.IntN(200); i%2 == 1 { // the even ones stay
					must(t, store.Delete(pageKey(i)))
					i = rng.IntN(100)*2 + 1
					must(t, store.Put(pageKey(i), aheadValue(i)))
				}
			}
			if token = p.Next; token == nil {
				break
			}
		}
		for i := 0; i < 200; i += 2 {
			if seen[i] != 1 {
				t.Fatalf("round %d: key %d was seen %d times", round, i, seen[i])
			}
		}
		for i, n := range seen {
			if n > 1 {
				t.Fatalf("round %d: key %d was seen %d times", round, i, n)
			}
		}
	}
}

func TestAnEmptiedPageLeadsBack(t *testing.T) {
	store, all := pageStore(t, 20)
	defer closeDB(t, store)
	for _, r := range []Range{all, all.Backward()} {
		p, err := ReadPage(store, r, nil, 10)
		must(t, err)
		next := p.Next
		p, err = ReadPage(store, r, next, 10)
		must(t, err)
		prev := p.Prev
		for _, it := range p.Items {
			must(t, store.Delete(it.Key))
		}
		p, err = ReadPage(store, r, next, 10)
		if err != nil || len(p.Items) != 0 || p.Next != nil || p.Prev == nil {
			t.Fatalf("%+v, %v", p, err)
		}
		p, err = ReadPage(store, r, p.Prev, 10)
		if err != nil || len(p.Items) != 10 || p.Prev != nil || p.Next != nil {
			t.Fatalf("%d items, %v", len(p.Items), err)
		}
		must(t, store.DeleteRange(all))
		if p, err = ReadPage(store, r, prev, 10); err != nil || len(p.Items) != 0 || p.Next != nil || p.Prev != nil {
			t.Fatalf("%+v, %v", p, err)
		}
		for i := range 20 {
			must(t, store.Put(pageKey(i), aheadValue(i)))
		}
	}
}

func TestPagesOfASnapshotFitTogether(t *testing.T) {
	store, r := pageStore(t, 30)
	defer closeDB(t, store)
	snap, err := store.Snapshot()
	must(t, err)
	defer snap.Close()
	p, err := ReadPage(snap, r, nil, 20)
	must(t, err)
	must(t, store.DeleteRange(All()))
	p, err = ReadPage(snap, r, p.Next, 20)
	if err != nil || len(p.Items) != 10 || p.Items[0].number(t) != 20 {
		t.Fatalf("%d items, %v", len(p.Items), err)
	}
}

func TestAPageEndsWhenItIsLarge(t *testing.T) {
	store, r := pageStore(t, 0)
	defer closeDB(t, store)
	for i := range 5 {
		must(t, store.Put(pageKey(i), make([]byte, PageBytesMax/2)))
	}
	p, err := ReadPage(store, r, nil, 10)
	must(t, err)
	if len(p.Items) != 2 || p.Next == nil {
		t.Fatalf("%d items", len(p.Items))
	}
	p, err = ReadPage(store, r.Backward(), nil, 10)
	must(t, err)
	if len(p.Items) != 2 || p.Items[0].number(t) != 4 {
		t.Fatalf("%d items", len(p.Items))
	}
}

func TestTokensAreChecked(t *testing.T) {
	store, r := pageStore(t, 30)
	defer closeDB(t, store)
	p, err := ReadPage(store, r, nil, 10)
	must(t, err)
	token := p.Next
	for i := range token {
		bad := bytes.Clone(token)
		bad[i] ^= 1 << (i % 8)
		if _, err := ReadPage(store, r, bad, 10); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("byte %d flipped: %v", i, err)
		}
		if _, err := ReadPage(store, r, token[:max(i, 1)], 10); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("cut to %d bytes: %v", i, err)
		}
	}
	for _, other := range []Range{All(), r.Backward(), From([]byte("p")), Prefix([]byte("o")), Between([]byte("p"), []byte("p9"))} {
		if _, err := ReadPage(store, other, token, 10); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("%+v: %v", other, err)
		}
	}
	if _, err := ReadPage(store, r, nil, 0); !errors.Is(err, errOptions) {
		t.Errorf("limit 0: %v", err)
	}
	// A forged one leads nowhere else.
	for _, key := range []string{"", "o", "q", "\xff"} {
		for _, down := range []bool{false, true} {
			forged := (&pageToken{down: down, key: []byte(key)}).encode(r)
			p, err := ReadPage(store, r, forged, 100)
			must(t, err)
			for _, it := range p.Items {
				it.number(t)
			}
		}
	}
}

func TestAPageOfValuesTakesFewReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, fs := separated(t, 1000)
		defer closeDB(t, store)
		must(t, store.Flush(context.Background()))
		var token []byte
		pages := int64(0)
		for {
			p, err := ReadPage(store, All(), token, 50)
			must(t, err)
			pages++
			if token = p.Next; token == nil {
				break
			}
		}
		if fs.n.Load() > 3*pages+5 {
			t.Errorf("%d pages took %d reads", pages, fs.n.Load())
		}
	})
}

// The store may close a cursor between two calls of the page that it is for.
func TestACursorThatTheStoreClosedTakesNoMemory(t *testing.T) {
	store, r := pageStore(t, 50)
	defer closeDB(t, store)
	c, err := store.NewCursor(r)
	must(t, err)
	if !c.First() {
		t.Fatal(c.Err())
	}
	done := make(chan error)
	go func() { done <- c.shut() }()
	c.expectValues(20, false) // beside it: no data race
	must(t, <-done)
	c.ahead = nil
	if c.expectValues(20, false); c.ahead != nil {
		t.Error("memory for looking ahead that nobody gives back")
	}
	must(t, c.Close())
}
