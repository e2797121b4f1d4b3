package typed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// person is what the tests index.
type person struct {
	Email string
	City  string
	Tags  []string
}

// people is a view with three indexes.
type people struct {
	*View[uint64, person]
	byEmail *Index[uint64, person, string]
	byCity  *Index[uint64, person, Tuple2[string, string]]
	byTag   *Index[uint64, person, string]
}

func emails(p person) []string {
	if p.Email == "" {
		return nil
	}
	return []string{p.Email}
}

func tags(p person) []string { return p.Tags }

var cityCodec = NewTuple2(String{}, String{})

func openPeople(t testing.TB, store *db.DB) people {
	t.Helper()
	v := New(store, keyspace(t, store, "people"), Uint64{}, JSON[person]{})
	p := people{View: v}
	var err error
	p.byEmail, err = AddIndex(v, "email", String{}, emails, IndexOptions{Unique: true})
	check(t, err)
	p.byCity, err = AddIndex(v, "city", cityCodec, func(p person) []Tuple2[string, string] {
		return []Tuple2[string, string]{{p.City, p.Email}}
	}, IndexOptions{})
	check(t, err)
	p.byTag, err = AddIndex(v, "tag", String{}, tags, IndexOptions{})
	check(t, err)
	return p
}

// verify fails the test unless all indexes agree with the items.
func (p people) verify(t testing.TB) {
	t.Helper()
	ctx := context.Background()
	for i, verify := range []func(context.Context) (*Verification, error){p.byEmail.Verify, p.byCity.Verify, p.byTag.Verify} {
		v, err := verify(ctx)
		if err != nil || !v.OK() {
			t.Fatalf("index %d: %+v, %v", i, v, err)
		}
	}
}

// found are the keys that an index yields, which Scan and Keys must agree on.
func found[V, I any](t testing.TB, x *Index[uint64, V, I], r Range[I]) []uint64 {
	t.Helper()
	items, err := collect(x.Scan(r))
	check(t, err)
	keys, err := collect(x.Keys(r))
	check(t, err)
	var a, b []uint64
	for _, item := range items {
		a = append(a, item.Key)
	}
	for _, key := range keys {
		b = append(b, key.Key)
	}
	if !slices.Equal(a, b) {
		t.Errorf("Scan yields %v, Keys %v", a, b)
	}
	return a
}

func wantKeys[V, I any](t testing.TB, x *Index[uint64, V, I], r Range[I], want ...uint64) {
	t.Helper()
	if got := found(t, x, r); !slices.Equal(got, want) {
		t.Errorf("found %v, want %v", got, want)
	}
}

func TestIndexFindsItemsByTheirValues(t *testing.T) {
	p := openPeople(t, openStore(t, db.Options{}))
	check(t, p.Put(1, person{"ada@x", "London", []string{"a", "b"}}))
	check(t, p.Put(2, person{"bob@x", "Paris", []string{"b", "b\x00", "b"}}))
	check(t, p.Put(3, person{"", "London", nil}))
	check(t, p.Put(4, person{"al@x", "London", []string{"ab"}}))
	p.verify(t)

	wantKeys(t, p.byEmail, Only("ada@x"), 1)
	wantKeys(t, p.byEmail, Only("ada@"))
	wantKeys(t, p.byEmail, Prefix("a"), 1, 4)
	wantKeys(t, p.byEmail, Prefix("a").Backward(), 4, 1)
	wantKeys(t, p.byEmail, All[string](), 1, 4, 2)
	wantKeys(t, p.byEmail, From("al@x"), 4, 2)
	wantKeys(t, p.byEmail, Until("bob@x"), 1, 4)
	wantKeys(t, p.byEmail, Between("al", "bob@x"), 4)
	wantKeys(t, p.byCity, cityCodec.Prefix("London"), 3, 1, 4)
	wantKeys(t, p.byCity, cityCodec.Prefix("Lon"))
	wantKeys(t, p.byCity, Only(Tuple2[string, string]{"Paris", "bob@x"}), 2)
	wantKeys(t, p.byTag, Only("b"), 1, 2)
	wantKeys(t, p.byTag, Only("b").Backward(), 2, 1)
	wantKeys(t, p.byTag, All[string](), 1, 4, 1, 2, 2)
	wantKeys(t, p.byTag, Prefix("b"), 1, 2, 2)

	if key, value, err := p.byEmail.Get("bob@x"); err != nil || key != 2 || value.City != "Paris" {
		t.Errorf("%v, %v, %v", key, value, err)
	}
	if key, value, err := p.byTag.Get("b"); err != nil || key != 1 {
		t.Errorf("%v, %v, %v", key, value, err)
	}
	if _, _, err := p.byEmail.Get("nobody"); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
	for item, err := range p.byTag.Scan(From("b\x00")) {
		if err != nil || item.Index != "b\x00" || item.Key != 2 || item.Value.Email != "bob@x" {
			t.Errorf("%v, %v", item, err)
		}
	}

	check(t, p.Put(1, person{"ada@y", "Paris", []string{"b", "c"}}))
	check(t, p.Delete(2))
	check(t, p.Delete(9))
	p.verify(t)
	wantKeys(t, p.byEmail, All[string](), 1, 4)
	wantKeys(t, p.byEmail, Only("ada@x"))
	wantKeys(t, p.byTag, All[string](), 4, 1, 1)
	wantKeys(t, p.byCity, cityCodec.Prefix("Paris"), 1)
}

func TestUniqueIndexRefusesASecondOwner(t *testing.T) {
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a", Tags: []string{"x"}}))
	err := p.Put(2, person{Email: "a", Tags: []string{"y"}})
	u, ok := errors.AsType[*UniqueError](err)
	if !ok || u.Index != "email" || string(u.Owner) != "\x00\x00\x00\x00\x00\x00\x00\x01" || string(u.Entry) != "\x30a\x00" {
		t.Fatalf("%v", err)
	}
	if has, err := p.Has(2); err != nil || has {
		t.Errorf("the refused item is there: %v, %v", has, err)
	}
	wantKeys(t, p.byTag, All[string](), 1)
	check(t, p.Put(1, person{Email: "a", Tags: []string{"z"}})) // its own

	// In a transaction a refused write leaves no trace, and others go on.
	check(t, store.Update(context.Background(), func(tx *db.Tx) error {
		in := p.In(tx)
		check(t, in.Put(3, person{Email: "c"}))
		if _, ok := errors.AsType[*UniqueError](in.Put(3, person{Email: "a", Tags: []string{"y"}})); !ok {
			t.Error("taken, but not refused")
		}
		check(t, in.Put(1, person{Email: "b"})) // gives a back
		return in.Put(2, person{Email: "a"})
	}))
	p.verify(t)
	wantKeys(t, p.byEmail, All[string](), 2, 1, 3)
	wantKeys(t, p.byTag, All[string]())
}

func TestIndexInATransactionSeesItsWrites(t *testing.T) {
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a"}))
	undone := errors.New("undone")
	err := store.Update(context.Background(), func(tx *db.Tx) error {
		check(t, p.In(tx).Put(2, person{Email: "b"}))
		check(t, p.In(tx).Delete(1))
		wantKeys(t, p.byEmail.In(tx), All[string](), 2)
		if v, err := p.byEmail.In(tx).Verify(context.Background()); err != nil || !v.OK() || v.Entries != 1 {
			t.Errorf("%+v, %v", v, err)
		}
		return undone
	})
	if !errors.Is(err, undone) {
		t.Fatal(err)
	}
	wantKeys(t, p.byEmail, All[string](), 1)
	p.verify(t)
}

func TestAnIndexAddedLaterIsRebuilt(t *testing.T) {
	store := openStore(t, db.Options{})
	ctx := context.Background()
	v := New(store, keyspace(t, store, "people"), Uint64{}, JSON[person]{})
	const n = 3*rebuildItemsMax + 1
	for i := range uint64(n) {
		check(t, v.Put(i, person{Email: fmt.Sprint(i), Tags: []string{"t", fmt.Sprint(i % 3)}}))
	}
	check(t, v.PutTTL(n, person{Tags: []string{"t"}}, time.Hour))
	p := openPeople(t, store)
	if _, _, err := p.byTag.Get("t"); !errors.Is(err, ErrIndexIncomplete) {
		t.Fatalf("an incomplete index answers: %v", err)
	}
	for _, err := range p.byTag.Keys(All[string]()) {
		if !errors.Is(err, ErrIndexIncomplete) {
			t.Fatalf("an incomplete index answers: %v", err)
		}
	}
	// It is maintained, and entries past the view do not survive.
	check(t, p.Put(1, person{Email: "one", Tags: []string{"one"}}))
	check(t, p.byTag.ks.Put([]byte("\x30wrong\x00"), nil))
	for range 2 {
		check(t, p.byTag.Rebuild(ctx))
		check(t, p.byEmail.Rebuild(ctx))
		check(t, p.byCity.Rebuild(ctx))
		p.verify(t)
		if got := found(t, p.byTag, Only("t")); len(got) != n {
			t.Errorf("%d items, want %d", len(got), n)
		}
		wantKeys(t, p.byTag, Only("one"), 1)
	}
	var last time.Time
	for it, err := range p.byTag.ks.Scan(db.Prefix([]byte("\x30t\x00"))) {
		check(t, err)
		last, _ = it.ExpiresAt()
	}
	if left := time.Until(last); left < 59*time.Minute || left > time.Hour {
		t.Errorf("the entry of an item that expires does so in %v", left)
	}
	again := openPeople(t, store)
	wantKeys(t, again.byTag, Only("one"), 1) // complete, and stays so
}

func TestIndexesSurviveAReopen(t *testing.T) {
	fs := vfs.NewMem()
	t.Run("before", func(t *testing.T) {
		p := openPeople(t, openStore(t, db.Options{FS: fs}))
		check(t, p.Put(1, person{Email: "a", Tags: []string{"x"}}))
	})
	p := openPeople(t, openStore(t, db.Options{FS: fs}))
	wantKeys(t, p.byEmail, Only("a"), 1)
	check(t, p.Put(1, person{Email: "b"}))
	wantKeys(t, p.byTag, All[string]())
	wantKeys(t, p.byEmail, All[string](), 1)
	p.verify(t)
}

func TestRebuildOfAUniqueIndexFindsSharedKeys(t *testing.T) {
	store := openStore(t, db.Options{})
	v := New(store, keyspace(t, store, "people"), Uint64{}, JSON[person]{})
	check(t, v.Put(1, person{Email: "a"}))
	check(t, v.Put(2, person{Email: "a"}))
	p := openPeople(t, store)
	if u, ok := errors.AsType[*UniqueError](p.byEmail.Rebuild(context.Background())); !ok || u.Index != "email" {
		t.Fatal("not found")
	}
	if _, _, err := p.byEmail.Get("a"); !errors.Is(err, ErrIndexIncomplete) {
		t.Errorf("it answers: %v", err)
	}
	check(t, p.Delete(2))
	check(t, p.byEmail.Rebuild(context.Background()))
	wantKeys(t, p.byEmail, All[string](), 1)
}

func TestALaterRebuildOvertakes(t *testing.T) {
	store := openStore(t, db.Options{})
	ctx := context.Background()
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a"}))
	first, err := p.byEmail.startOver(ctx)
	check(t, err)
	check(t, p.byEmail.Rebuild(ctx))
	err = store.Update(ctx, func(tx *db.Tx) error {
		_, err := p.byEmail.rebuildSome(ctx, tx, rebuilding{generation: first, end: []byte{0xff}}, 1)
		return err
	})
	if !errors.Is(err, ErrRebuildOvertaken) {
		t.Errorf("%v", err)
	}
	wantKeys(t, p.byEmail, All[string](), 1)
}

func TestVerifyFindsWhatWasWrittenPastTheView(t *testing.T) {
	store := openStore(t, db.Options{})
	ctx := context.Background()
	p := openPeople(t, store)
	for i := range uint64(10) {
		check(t, p.Put(i, person{Email: fmt.Sprint("e", i), Tags: []string{"t"}}))
	}
	key := func(i byte) []byte { return []byte{0, 0, 0, 0, 0, 0, 0, i} }
	items, emails, tags := p.ks, p.byEmail.ks, p.byTag.ks
	check(t, items.Delete(key(1)))                                        // both dangle
	check(t, items.Put(key(2), []byte(`{"Email":"other","Tags":["t"]}`))) // e2 dangles, other is missing
	check(t, items.Put(key(20), []byte(`{"Email":"e3","Tags":["u"]}`)))   // e3 belongs to another, u is missing
	check(t, emails.Put([]byte("\x30e4\x00"), key(5)))                    // dangles, and e4 is missing
	check(t, tags.Put(append([]byte("\x30x\x00"), key(6)...), nil))       // dangles
	check(t, emails.Put([]byte("\x30bad"), key(7)))                       // is no entry
	check(t, tags.Delete(append([]byte("\x30t\x00"), key(8)...)))         // missing
	check(t, emails.PutTTL([]byte("\x30soon\x00"), key(99), time.Hour))   // goes by itself
	for _, c := range []struct {
		verify                           func(context.Context) (*Verification, error)
		items, entries, missing, dangles uint64
	}{
		{p.byEmail.Verify, 10, 12, 3, 4},
		{p.byTag.Verify, 10, 10, 2, 2},
	} {
		v, err := c.verify(ctx)
		check(t, err)
		if v.OK() || v.Items != c.items || v.Entries != c.entries || v.Missing != c.missing || v.Dangling != c.dangles {
			t.Errorf("%+v, want %+v", v, c)
		}
		if len(v.Faults) != int(v.Missing+v.Dangling) {
			t.Errorf("%d faults", len(v.Faults))
		}
	}
	// What does not exist is not found, however wrong the index is; what is no
	// entry is an error.
	if got, err := collect(p.byTag.Scan(Only("t"))); err != nil || len(got) != 8 || got[1].Key != 2 {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := collect(p.byEmail.Scan(All[string]())); !errors.Is(err, ErrMalformed) {
		t.Errorf("%v", err)
	}
	check(t, items.Delete(key(20)))
	for _, rebuild := range []func(context.Context) error{p.byEmail.Rebuild, p.byTag.Rebuild, p.byCity.Rebuild} {
		check(t, rebuild(ctx))
	}
	p.verify(t)
}

func TestIndexEntriesExpireWithTheirItems(t *testing.T) {
	var mu sync.Mutex
	now := time.Unix(1e9, 0)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(1) // so that an entry outlives its item by a moment
		return now
	}
	sleep := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
	store := openStore(t, db.Options{Clock: clock})
	p := openPeople(t, store)
	check(t, p.PutTTL(1, person{Email: "a", Tags: []string{"t"}}, time.Minute))
	check(t, p.Put(2, person{Email: "b", Tags: []string{"t"}}))
	check(t, p.PutTTL(3, person{Email: "c", Tags: []string{"t"}}, time.Minute))
	check(t, p.Put(3, person{Email: "c", Tags: []string{"t"}})) // for ever after all
	check(t, p.PutTTL(4, person{Email: "d", Tags: []string{"t"}}, 2*time.Minute))
	p.verify(t)
	wantKeys(t, p.byTag, Only("t"), 1, 2, 3, 4)
	sleep(time.Minute)
	p.verify(t)
	wantKeys(t, p.byTag, Only("t"), 2, 3, 4)
	check(t, p.Put(5, person{Email: "a"})) // free again
	sleep(time.Minute)
	wantKeys(t, p.byEmail, All[string](), 5, 2, 3)
	p.verify(t)
	// A default time to live of the keyspace counts as well.
	ks, err := store.Keyspace("people", &db.KeyspaceOptions{DefaultTTL: time.Minute})
	check(t, err)
	check(t, p.Put(6, person{Email: "f"}))
	sleep(time.Hour)
	p.verify(t)
	wantKeys(t, p.byEmail, All[string](), 5, 2, 3)
	entries, err := store.Keyspace(ks.Name()+"/index/email", nil)
	check(t, err)
	for range entries.Scan(db.Prefix([]byte("f"))) {
		t.Error("an entry outlives its item")
	}
}

func TestIndexesAreChecked(t *testing.T) {
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a"}))
	add := func(v *View[uint64, person], name string, unique bool) error {
		_, err := AddIndex(v, name, String{}, emails, IndexOptions{Unique: unique})
		return err
	}
	for _, name := range []string{"", "a/b", "email"} {
		if err := add(p.View, name, false); !errors.Is(err, ErrIndexName) {
			t.Errorf("index %q: %v", name, err)
		}
	}
	if err := add(p.View, strings.Repeat("x", 300), false); err == nil {
		t.Error("a name that is too long was taken")
	}
	other := New(store, p.ks, Uint64{}, JSON[person]{})
	if err := add(other, "email", false); !errors.Is(err, ErrIndexMismatch) {
		t.Errorf("a unique index as another: %v", err)
	}
	if err := add(other, "tag", true); !errors.Is(err, ErrIndexMismatch) {
		t.Errorf("an index as a unique one: %v", err)
	}
	if len(other.indexers()) != 0 {
		t.Error("refused indexes are maintained")
	}
	check(t, p.byTag.ks.Put(stateKey, []byte{2, 1, 1, 0}))
	if err := add(other, "tag", false); !errors.Is(err, ErrIndexMismatch) {
		t.Errorf("a newer version: %v", err)
	}
	for _, bad := range []string{"", "\x01", "\x01\x01\x03\x00\x00\x00\x00\x00\x00\x00\x00", "\x01\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00"} {
		check(t, p.byTag.ks.Put(stateKey, []byte(bad)))
		if err := add(other, "tag", false); !errors.Is(err, ErrMalformed) {
			t.Errorf("state %q: %v", bad, err)
		}
	}
	check(t, store.Update(context.Background(), func(tx *db.Tx) error {
		if err := add(p.In(tx), "new", false); !errors.Is(err, ErrBound) {
			t.Errorf("in a transaction: %v", err)
		}
		if err := p.byCity.In(tx).Rebuild(context.Background()); !errors.Is(err, ErrBound) {
			t.Errorf("in a transaction: %v", err)
		}
		return nil
	}))
}

// The index follows what is stored, even if the codec does not store all.
func TestIndexOfALossyCodec(t *testing.T) {
	type half struct {
		Kept string
		Lost string `json:"-"`
	}
	store := openStore(t, db.Options{})
	v := New(store, keyspace(t, store, "x"), Uint64{}, JSON[half]{})
	x, err := AddIndex(v, "both", String{}, func(h half) []string { return []string{h.Kept, h.Lost} }, IndexOptions{})
	check(t, err)
	check(t, v.Put(1, half{"a\xff", "b"}))
	wantKeys(t, x, All[string](), 1, 1)
	wantKeys(t, x, Only("b"))
	check(t, v.Delete(1))
	wantKeys(t, x, All[string]())
}

func TestDamagedItemsAreNotOverwrittenBlindly(t *testing.T) {
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a"}))
	check(t, p.ks.Put([]byte{0, 0, 0, 0, 0, 0, 0, 1}, []byte("{")))
	for i, err := range []error{p.Put(1, person{Email: "b"}), p.Delete(1), p.byTag.Rebuild(context.Background())} {
		if d, ok := errors.AsType[*DecodeError](err); !ok || d.Part != "value" {
			t.Errorf("%d: %v", i, err)
		}
	}
	if _, _, err := p.byEmail.Get("a"); !errors.Is(err, ErrMalformed) {
		t.Errorf("%v", err)
	}
}

func TestCancelledWorkStops(t *testing.T) {
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	check(t, p.Put(1, person{Email: "a"}))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := p.byEmail.Rebuild(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Rebuild: %v", err)
	}
	if _, err := p.byEmail.Verify(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Verify: %v", err)
	}
}

// Random writes, alone and in transactions that commit or not, against a map.
func TestIndexesAgreeWithAModel(t *testing.T) {
	r := source(t)
	store := openStore(t, db.Options{})
	p := openPeople(t, store)
	model := make(map[uint64]person)
	undone := errors.New("undone")
	randomPerson := func() person {
		who := person{City: string(rune('a' + r.IntN(3)))}
		if r.IntN(4) > 0 {
			who.Email = fmt.Sprint(r.IntN(12))
		}
		for range r.IntN(3) {
			who.Tags = append(who.Tags, strings.ToValidUTF8(string(randomBytes(r)), ""))
		}
		return who
	}
	step := func(v *View[uint64, person], model map[uint64]person) {
		id := uint64(r.IntN(10))
		if r.IntN(3) == 0 {
			check(t, v.Delete(id))
			delete(model, id)
			return
		}
		who := randomPerson()
		taken := false
		for other, was := range model {
			taken = taken || other != id && who.Email != "" && was.Email == who.Email
		}
		err := v.Put(id, who)
		if _, refused := errors.AsType[*UniqueError](err); refused != taken || err != nil && !refused {
			t.Fatalf("put %d %v: %v, want refused %v", id, who, err, taken)
		}
		if !taken {
			model[id] = who
		}
	}
	for range 400 {
		if r.IntN(2) == 0 {
			step(p.View, model)
		} else {
			end := error(nil)
			if r.IntN(3) == 0 {
				end = undone
			}
			var after map[uint64]person
			err := store.Update(context.Background(), func(tx *db.Tx) error {
				after = make(map[uint64]person)
				for k, v := range model {
					after[k] = v
				}
				for range r.IntN(6) {
					step(p.In(tx), after)
				}
				return end
			})
			if !errors.Is(err, end) {
				t.Fatal(err)
			}
			if end == nil {
				model = after
			}
		}
		p.verify(t)
		type hit struct {
			tag string
			id  uint64
		}
		want := make(map[hit]bool)
		for id, who := range model {
			for _, tag := range who.Tags {
				want[hit{tag, id}] = true
			}
		}
		got, err := collect(p.byTag.Scan(All[string]()))
		check(t, err)
		for _, item := range got {
			if h := (hit{item.Index, item.Key}); !want[h] || item.Value.City != model[item.Key].City {
				t.Fatalf("found %v", h)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("found %d, want %d", len(got), len(want))
		}
		if !slices.IsSortedFunc(got, func(a, b IndexItem[uint64, person, string]) int { return strings.Compare(a.Index, b.Index) }) {
			t.Fatal("not in order")
		}
	}
}
