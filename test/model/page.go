package model

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"github.com/cordwood-db/cordwood/db"
)

// heldPage is a page that was read: where its tokens lead.
type heldPage struct {
	in         *space
	rng        db.Range
	backward   bool
	next, prev []byte // tokens
	first      string // keys of the page
	last       string
}

// readPage reads a first page, or one beside a page that was read earlier.
func (r *run) readPage() error {
	if len(r.pages) == 0 || r.draw.One(4) {
		s, err := r.space()
		if err != nil {
			return err
		}
		h := &heldPage{in: s, rng: r.drawRange(), backward: r.draw.One(2)}
		if h.backward {
			h.rng = h.rng.Backward()
		}
		return r.pageAt(h, nil, func([]item) int { return 0 }, false)
	}
	i := r.draw.IntN(len(r.pages))
	h := r.pages[i]
	r.pages = slices.Delete(r.pages, i, i+1)
	if h.in.dropped {
		return nil
	}
	if h.in.handle == nil {
		if err := r.openSpace(h.in); err != nil {
			return err
		}
	}
	// place counts the items before a key, or up to it.
	place := func(items []item, key string, with bool) int {
		return sortSearch(items, func(it item) bool {
			if it.key == key {
				return !with
			}
			return (it.key > key) != h.backward
		})
	}
	if h.next != nil && r.draw.IntN(3) > 0 {
		return r.pageAt(h, h.next, func(items []item) int { return place(items, h.last, true) }, false)
	}
	if h.prev != nil {
		return r.pageAt(h, h.prev, func(items []item) int { return place(items, h.first, false) }, true)
	}
	token := append([]byte{9}, h.next...)
	if _, err := db.ReadPage(h.in.handle, h.rng, token, 1); !errors.Is(err, db.ErrInvalidToken) {
		return fmt.Errorf("page of a bad token: %v", err)
	}
	return nil
}

func sortSearch(items []item, found func(item) bool) int {
	if i := slices.IndexFunc(items, found); i >= 0 {
		return i
	}
	return len(items)
}

// pageAt reads the page behind a place among the items, or before it.
func (r *run) pageAt(h *heldPage, token []byte, place func([]item) int, before bool) error {
	limit := 1 + r.draw.IntN(12)
	r.note("page of %d, keyspace %d, backward %v, token %t, before %t", limit, h.in.id, h.backward, token != nil, before)
	all := wanted(r.want.of(h.in), h.rng, r.now)
	if h.backward {
		slices.Reverse(all)
	}
	lo := place(all)
	hi := min(lo+limit, len(all))
	if before {
		lo, hi = max(lo-limit, 0), lo
	}
	want := all[lo:hi]
	rng := h.rng
	if r.draw.One(4) {
		rng = rng.KeysOnly() // tokens hold with or without
	}
	page, err := db.ReadPage(r.reader(h.in), rng, token, limit)
	if err != nil {
		return fmt.Errorf("page: %w", err)
	}
	if len(page.Items) != len(want) {
		return fmt.Errorf("page of %d items, want %d", len(page.Items), len(want))
	}
	for i := range want {
		if got := &page.Items[i]; !want[i].merged && !got.ExpiresAt.Equal(want[i].expires) {
			return fmt.Errorf("page: item %d, %q, expires at %v, want %v", i, got.Key, got.ExpiresAt, want[i].expires)
		}
		if rng.IsKeysOnly() && page.Items[i].Value == nil && string(page.Items[i].Key) == want[i].key {
			continue
		}
		if string(page.Items[i].Key) != want[i].key || !bytes.Equal(page.Items[i].Value, want[i].value) {
			return fmt.Errorf("page: item %d is %q with %s, want %q with %s", i, page.Items[i].Key,
				brief(page.Items[i].Value), want[i].key, brief(want[i].value))
		}
	}
	if (page.Prev != nil) != (lo > 0) || (page.Next != nil) != (hi < len(all)) {
		return fmt.Errorf("page: items %d to %d of %d, previous %t, next %t", lo, hi, len(all), page.Prev != nil, page.Next != nil)
	}
	if len(want) > 0 {
		r.pages = append(r.pages, &heldPage{in: h.in, rng: h.rng, backward: h.backward,
			next: page.Next, prev: page.Prev, first: want[0].key, last: want[len(want)-1].key})
	}
	return nil
}
