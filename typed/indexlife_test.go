package typed

import (
	"errors"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// An item whose entries do not fit is not written, and a transaction that goes
// on does not commit without them.
func TestIndexKeysThatAreTooLong(t *testing.T) {
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	long := person{Email: "a", Tags: []string{strings.Repeat("x", db.MaxKeyBytes)}}
	if err := p.Put(1, long); !errors.Is(err, db.ErrKeyTooLarge) {
		t.Error(err)
	}
	err := store.Update(t.Context(), func(tx *db.Tx) error {
		if err := p.In(tx).Put(1, long); !errors.Is(err, db.ErrKeyTooLarge) {
			t.Error(err)
		}
		return nil
	})
	if !errors.Is(err, db.ErrKeyTooLarge) {
		t.Error(err)
	}
	if found, err := p.Has(1); found || err != nil {
		t.Error(found, err)
	}
	p.verify(t)
}

// Entries of a keyspace that was dropped find nothing in one that is made anew.
func TestAnIndexOutlivesItsKeyspaceEmpty(t *testing.T) {
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a", Tags: []string{"t"}}))
	check(t, store.DropKeyspace("people"))
	p = openPeople(t, store)
	check(t, p.Put(1, person{Email: "b", Tags: []string{"u"}}))
	wantKeys(t, p.byEmail, All[string](), 1)
	wantKeys(t, p.byTag, Only("t"))
	wantKeys(t, p.byTag, Only("u"), 1)
	p.verify(t)
}
