package db

import (
	"bytes"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/cordwood-db/cordwood/internal/filter"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// FuzzPageToken reads pages behind made-up tokens: as they are, with the right
// checksum, and as the key of a token that is right otherwise.
func FuzzPageToken(f *testing.F) {
	store, err := Open("/db", &Options{FS: vfs.NewMem(), MemoryMax: 4 << 20})
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close() })
	for i := range 10 {
		if err := store.Put(pageKey(i), []byte("v")); err != nil {
			f.Fatal(err)
		}
	}
	r := Prefix([]byte("p"))
	f.Add((&pageToken{key: pageKey(3)}).encode(r), 3)
	whole := (&pageToken{down: true, key: pageKey(7)}).encode(r)
	f.Add(whole[:len(whole)-8], 2)
	f.Add([]byte{}, 1)
	f.Fuzz(func(t *testing.T, b []byte, limit int) {
		limit = min(limit, 100)
		sealed := binary.LittleEndian.AppendUint64(bytes.Clone(b), filter.Hash(b))
		for _, token := range [][]byte{b, sealed, (&pageToken{key: b}).encode(r)} {
			testkit.Bounded(t, len(token), func() { readAt(t, store, r, token, limit) })
		}
	})
}

// readAt reads the page that a token leads to.
func readAt(t *testing.T, store *DB, r Range, token []byte, limit int) {
	p, err := ReadPage(store, r, token, limit)
	if err != nil && !errors.Is(err, ErrInvalidToken) && !errors.Is(err, errOptions) {
		t.Fatal(err)
	}
	if len(p.Items) > max(limit, 0) {
		t.Fatalf("%d items of %d", len(p.Items), limit)
	}
	for _, it := range p.Items {
		it.number(t)
	}
	at, err := decodePageToken(token, r)
	if err == nil && !bytes.Equal(at.encode(r), token) {
		t.Fatalf("% x is read as %+v, which is written as % x", token, at, at.encode(r))
	}
}
