package db

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/internal/filter"
)

// Page is a part of a range that was read in one go, for callers who cannot
// keep a cursor between their requests. It is the caller's own.
type Page struct {
	// Items are in the order of the range.
	Items []PageItem
	// Next is the token of the page that follows, nil if this is the last one.
	Next []byte
	// Prev is the token of the page before, nil if this is the first one.
	Prev []byte
}

// PageItem is a key of a page.
type PageItem struct {
	Key       []byte
	Value     []byte    // nil in a keys-only range, else not nil
	ExpiresAt time.Time // zero if it does not expire
}

// PageBytesMax is how many bytes of keys and values make a page end before it
// has its limit of items.
const PageBytesMax = 16 << 20

// ReadPage reads up to limit items of r: the first ones if token is empty, else
// those that the token of another page of r stands for, before or behind that
// page. It may return fewer though there are more, see PageBytesMax: the tokens
// tell. A page before may have fewer items than limit, and begins the range
// then.
//
// Each call sees the store as of its time, so that pages show what was written
// between them; pages of one [Snapshot] fit together. No item is skipped or
// shown twice for that: a page begins exactly where the other one ended.
//
// A token holds a key of the store, readable by whoever has the token, and what
// tells that it fits r; it is valid for ever and after a restart, with or
// without KeysOnly. It can be forged, but leads nowhere outside of r.
//
// Errors: ErrInvalidToken for a token that is damaged, of a newer version, or
// of another range or direction; those of the reader. limit must be positive.
func ReadPage(from Reader, r Range, token []byte, limit int) (Page, error) {
	if limit < 1 {
		return Page{}, fmt.Errorf("%w: page of %d items", errOptions, limit)
	}
	var at *pageToken
	if len(token) > 0 {
		var err error
		if at, err = decodePageToken(token, r); err != nil {
			return Page{}, err
		}
	}
	c, err := from.NewCursor(r)
	if err != nil {
		return Page{}, err
	}
	p := pageReader{c: c, r: r, limit: limit}
	page, err := p.read(at)
	if err != nil {
		c.Close()
		return Page{}, err
	}
	return page, c.Close()
}

// pageReader reads a page.
type pageReader struct {
	c     *Cursor
	r     Range
	limit int
	items []PageItem
}

// read reads the page at a token; nil: the first one.
func (p *pageReader) read(at *pageToken) (Page, error) {
	c, down := p.c, p.r.backward
	behind, ok := false, false // is there a key on the other side of the token; one on this
	switch {
	case at == nil && down:
		ok = c.Last()
	case at == nil:
		ok = c.First()
	case at.down:
		down = true
		behind = c.SeekGE(at.key)
		if c.Err() == nil {
			ok = c.SeekLT(at.key)
		}
	default:
		down = false
		behind = c.SeekLT(at.key)
		if c.Err() == nil {
			ok = c.SeekGE(at.key)
		}
	}
	more, err := p.collect(ok, down)
	if err != nil {
		return Page{}, err
	}
	page := Page{Items: p.items}
	before, after := behind, more
	if down != p.r.backward { // away from the range's beginning is where this page came from
		slices.Reverse(page.Items)
		before, after = more, behind
	}
	if before {
		page.Prev = p.token(page.Items, at, false)
	}
	if after {
		page.Next = p.token(page.Items, at, true)
	}
	return page, nil
}

// collect takes items from the cursor's current one on. more says whether
// there are others behind them.
func (p *pageReader) collect(ok, down bool) (more bool, err error) {
	c, size := p.c, 0
	step := c.Next
	if down {
		step = c.Prev
	}
	c.expectValues(p.limit, down)
	for ; ok; ok = step() {
		if len(p.items) == p.limit || size >= PageBytesMax {
			return true, nil
		}
		it := PageItem{Key: bytes.Clone(c.Key())}
		if it.Key == nil {
			it.Key = []byte{}
		}
		if !p.r.keysOnly {
			if it.Value, err = c.AppendValue([]byte{}); err != nil {
				return false, err
			}
		}
		it.ExpiresAt, _ = c.Item().ExpiresAt()
		p.items = append(p.items, it)
		size += len(it.Key) + len(it.Value)
	}
	return false, c.Err()
}

// token is that of the page after or before items, which are in the range's
// order. Where there are none, it leads back to where the page at came from.
func (p *pageReader) token(items []PageItem, at *pageToken, next bool) []byte {
	t := pageToken{down: next == p.r.backward}
	switch {
	case len(items) == 0:
		t.key = at.key
	case next:
		t.key = items[len(items)-1].Key
	default:
		t.key = items[0].Key
	}
	if !t.down && len(items) > 0 {
		t.key = append(slices.Clone(t.key), 0) // the least key above
	}
	return t.encode(p.r)
}

// pageToken stands for a page: the keys from key on, or those below it
// downward.
type pageToken struct {
	down bool
	key  []byte
}

// A token is its version, flags, a hash of the range, the key, and a hash of
// all that. Hashes are 64-bit xxHash; numbers are little-endian. Tokens may be kept by clients: a change
// takes a new version.
const (
	pageTokenVersion = 1
	pageTokenDown    = 1 // flag: the keys below key; all others are 0

	pageTokenKey    = 1 + 1 + 8 // offset of the key
	pageTokenLenMin = pageTokenKey + 8
)

// hashOfRange tells ranges and directions apart.
func hashOfRange(r Range) uint64 {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(r.lower)))
	b = append(append(b, r.lower...), flag(r.bounded), flag(r.backward))
	return filter.Hash(append(b, r.upper...))
}

func flag(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (t *pageToken) encode(r Range) []byte {
	b := make([]byte, 0, pageTokenLenMin+len(t.key))
	b = append(b, pageTokenVersion, flag(t.down))
	b = binary.LittleEndian.AppendUint64(b, hashOfRange(r))
	b = append(b, t.key...)
	return binary.LittleEndian.AppendUint64(b, filter.Hash(b))
}

// decodePageToken checks a token of r. The result aliases it.
func decodePageToken(b []byte, r Range) (*pageToken, error) {
	if len(b) < pageTokenLenMin {
		return nil, fmt.Errorf("%w: %d bytes", ErrInvalidToken, len(b))
	}
	body, sum := b[:len(b)-8], binary.LittleEndian.Uint64(b[len(b)-8:])
	t := &pageToken{down: b[1] == pageTokenDown, key: body[pageTokenKey:]}
	switch {
	case sum != filter.Hash(body):
		return nil, fmt.Errorf("%w: checksum mismatch", ErrInvalidToken)
	case b[0] != pageTokenVersion:
		return nil, fmt.Errorf("%w: version %d", ErrInvalidToken, b[0])
	case b[1] > pageTokenDown:
		return nil, fmt.Errorf("%w: flags %#x", ErrInvalidToken, b[1])
	case binary.LittleEndian.Uint64(b[2:]) != hashOfRange(r):
		return nil, fmt.Errorf("%w: of another range", ErrInvalidToken)
	case len(t.key) > MaxKeyBytes+1:
		return nil, fmt.Errorf("%w: key of %d bytes", ErrInvalidToken, len(t.key))
	}
	return t, nil
}
