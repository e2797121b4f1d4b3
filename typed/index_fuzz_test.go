package typed

import (
	"context"
	"errors"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// indexBound is what a small store and its view may take.
var indexBound = testkit.Bound{PerByte: 1024, Fixed: 16 << 20}

// FuzzIndexEntries puts arbitrary bytes into the keyspaces of two indexes, among
// honest entries and in place of their state: reads end, with an error that says
// so, and a rebuild makes all right again, unless the state makes no sense.
func FuzzIndexEntries(f *testing.F) {
	f.Add(byte(0), []byte("x"), []byte("y"))
	f.Add(byte(0), []byte{tagString, 'a', 0}, []byte{0, 0, 0, 0, 0, 0, 0, 1})
	f.Add(byte(1), []byte{tagString, 'a', 0, 0, 0, 0, 0, 0, 0, 0, 1}, []byte{})
	f.Add(byte(2), []byte{indexVersion, kindUnique, stateComplete, 0, 0, 0, 0, 0, 0, 0, 1}, []byte{})
	f.Add(byte(3), []byte{indexVersion + 1}, []byte{})
	f.Fuzz(func(t *testing.T, how byte, key, value []byte) {
		store, err := db.Open("/db", &db.Options{FS: vfs.NewMem(), MemoryMax: 4 << 20, SyncInterval: -1})
		check(t, err)
		defer func() { check(t, store.Close()) }()
		p := openPeople(t, store)
		check(t, p.Put(1, person{Email: "a", Tags: []string{"t", "u"}}))
		check(t, p.Put(2, person{Email: "b", Tags: []string{"t"}}))
		x, y := p.byEmail.ks, p.byTag.ks
		switch how & 3 {
		case 0:
			err = x.Put(key, value)
		case 1:
			err = y.Put(key, value)
		case 2:
			err = x.Put(stateKey, key)
		case 3:
			err = y.Put(stateKey, key)
		}
		if err != nil {
			return // a key that is too large
		}
		indexBound.Run(t, len(key)+len(value), func() { readIndexes(t, p) })
	})
}

// readIndexes reads indexes that may hold anything, and makes them anew.
func readIndexes(t *testing.T, p people) {
	fine := func(err error) {
		t.Helper()
		_, damage := errors.AsType[*db.CorruptionError](err)
		if err != nil && !damage && !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrIndexMismatch) &&
			!errors.Is(err, ErrIndexIncomplete) && !errors.Is(err, db.ErrNotFound) {
			t.Fatal(err)
		}
	}
	for _, x := range []*Index[uint64, person, string]{p.byEmail, p.byTag} {
		n := 0
		for _, err := range x.Scan(All[string]()) {
			if n++; n > 5 {
				t.Fatal("more items than there are")
			}
			fine(err)
		}
		for _, err := range x.Keys(All[string]()) {
			fine(err)
		}
		_, err := x.Verify(context.Background())
		fine(err)
	}
	ctx := context.Background()
	for _, x := range []*Index[uint64, person, string]{p.byEmail, p.byTag} {
		_, stateErr := x.state(x.ks)
		err := x.Rebuild(ctx)
		if errors.Is(stateErr, ErrIndexMismatch) || errors.Is(stateErr, ErrMalformed) {
			if err == nil {
				t.Fatalf("rebuilt, though it may be of a newer version: %v", stateErr)
			}
			return // it is left alone
		}
		check(t, err)
	}
	p.verify(t)
}
