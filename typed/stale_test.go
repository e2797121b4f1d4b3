package typed

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// setClock is a clock that stands still until it is set, also back.
type setClock struct{ nanos atomic.Int64 }

func (c *setClock) Now() time.Time { return time.Unix(1e9, c.nanos.Load()) }

func (c *setClock) set(d time.Duration) { c.nanos.Store(int64(d)) }

// A clock that is set back shows an item again whose key in a unique index
// somebody else has got meanwhile. That one's entry is not for the old owner
// to take or to remove.
func TestAnItemThatComesBackTakesNoEntryOfAnotherOne(t *testing.T) {
	clock := new(setClock)
	p := openPeople(t, openStore(t, db.Options{Clock: clock.Now}))
	check(t, p.PutTTL(1, person{Email: "a"}, time.Minute))
	clock.set(time.Hour)
	check(t, p.Put(2, person{Email: "a"}))
	clock.set(0)
	if found, err := p.Has(1); err != nil || !found {
		t.Fatal("the item did not come back", err)
	}
	owner := func() {
		t.Helper()
		if k, _, err := p.byEmail.Get("a"); err != nil || k != 2 {
			t.Errorf("owner %d, %v", k, err)
		}
	}
	if _, ok := errors.AsType[*UniqueError](p.Put(1, person{Email: "a", City: "x"})); !ok {
		t.Error("an entry went from its owner to another item")
	}
	owner()
	check(t, p.Put(1, person{Email: "b"}))
	owner()
	p.verify(t)
	check(t, p.Delete(1))
	owner()
	p.verify(t)
}

// An entry outlives its item by a moment, in which the item may be written anew
// with other index keys.
func TestAnEntryOfAnItemsFormerLifeIsPassedOver(t *testing.T) {
	clock := new(setClock)
	store := openStore(t, db.Options{Clock: clock.Now})
	p := openPeople(t, store)
	check(t, p.PutTTL(1, person{Email: "a", Tags: []string{"t"}}, time.Minute))
	clock.set(time.Hour)
	check(t, p.Put(1, person{Email: "b", Tags: []string{"u"}}))
	clock.set(0) // the entries of "a" and "t" are there again
	if k, v, err := p.byEmail.Get("a"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("%d %+v %v", k, v, err)
	}
	for _, x := range []*Index[uint64, person, string]{p.byEmail, p.byTag} {
		for item, err := range x.Scan(Only("t")) {
			t.Errorf("%+v %v", item, err)
		}
		for item, err := range x.Scan(Only("a")) {
			t.Errorf("%+v %v", item, err)
		}
	}
	p.verify(t)
	check(t, p.Put(2, person{Email: "a"}))
	if k, _, err := p.byEmail.Get("a"); err != nil || k != 2 {
		t.Error(k, err)
	}
	p.verify(t)
}

// What a codec says of an item is not that there is none.
func TestACodecsNotFoundIsNoMissingItem(t *testing.T) {
	known := true
	names := As(String{},
		func(s string) (string, error) { return s, nil },
		func(s string) (string, error) {
			if !known {
				return "", db.ErrNotFound // of a table of names, say
			}
			return s, nil
		})
	store := openStore(t, db.Options{})
	v := New(store, keyspace(t, store, "items"), Uint64{}, Codec[string](names))
	x, err := AddIndex(v, "self", String{}, func(s string) []string { return []string{s} }, IndexOptions{})
	check(t, err)
	check(t, v.Put(1, "a"))
	known = false
	_, err = collect(x.Scan(All[string]()))
	if _, ok := errors.AsType[*DecodeError](err); !ok {
		t.Error(err)
	}
	if _, err := x.Verify(t.Context()); err == nil {
		t.Error("Verify can tell without decoding")
	}
}

func TestUniqueKeysAreSwappedInATransaction(t *testing.T) {
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a"}))
	check(t, p.Put(2, person{Email: "b"}))
	check(t, store.Update(t.Context(), func(tx *db.Tx) error {
		in := p.In(tx)
		if _, ok := errors.AsType[*UniqueError](in.Put(1, person{Email: "b"})); !ok {
			t.Error("two items with one key")
		}
		return errors.Join(in.Delete(2), in.Put(1, person{Email: "b"}), in.Put(2, person{Email: "a"}))
	}))
	wantKeys(t, p.byEmail, All[string](), 2, 1)
	p.verify(t)
}
