package typed_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/typed"
	"github.com/cordwood-db/cordwood/vfs"
)

// must keeps the examples short. Programs handle their errors.
func must(err error) {
	if err != nil {
		panic(err)
	}
}

// open is a store in memory with one keyspace.
func open(name string) (*db.DB, *db.Keyspace) {
	store, err := db.Open("store", &db.Options{FS: vfs.NewMem()})
	must(err)
	ks, err := store.Keyspace(name, nil)
	must(err)
	return store, ks
}

type User struct {
	Name, Email string
	Groups      []string
}

func Example() {
	store, ks := open("users")
	defer store.Close()
	users := typed.New(store, ks, typed.Uint64{}, typed.JSON[User]{})

	must(users.Put(7, User{Name: "Ada"}))
	must(users.Put(12, User{Name: "Bob"}))
	ada, err := users.Get(7)
	must(err)
	fmt.Println(ada.Name)

	for item, err := range users.Scan(typed.From(uint64(8))) {
		must(err)
		fmt.Println(item.Key, item.Value.Name)
	}
	_, err = users.Get(1)
	fmt.Println(errors.Is(err, db.ErrNotFound))
	// Output:
	// Ada
	// 12 Bob
	// true
}

// Keys of two elements: all readings of one sensor are neighbours, in the order
// of time.
func ExampleNewTuple2() {
	store, ks := open("readings")
	defer store.Close()
	keys := typed.NewTuple2(typed.String{}, typed.Time{})
	readings := typed.New(store, ks, keys, typed.Float64{})

	noon := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	type key = typed.Tuple2[string, time.Time]
	must(readings.Put(key{"roof", noon.Add(time.Minute)}, -1.5))
	must(readings.Put(key{"roof", noon}, -2))
	must(readings.Put(key{"roof top", noon}, 4))

	for item, err := range readings.Scan(keys.Prefix("roof")) {
		must(err)
		fmt.Println(item.Key.B.Format(time.TimeOnly), item.Value)
	}
	since := typed.Between(key{"roof", noon.Add(time.Second)}, key{"roof", noon.Add(time.Hour)})
	for item, err := range readings.Scan(since) {
		must(err)
		fmt.Println("since:", item.Value)
	}
	// Output:
	// 12:00:00 -2
	// 12:01:00 -1.5
	// since: -1.5
}

// Tuples of elements whose types are known only when the program runs.
func ExampleTuples() {
	store, ks := open("events")
	defer store.Close()
	events := typed.New(store, ks, typed.Tuples{}, typed.String{})
	must(events.Put(typed.Tuple{"disk", 3, true}, "full"))
	must(events.Put(typed.Tuple{"disk", -1}, "gone"))
	must(events.Put(typed.Tuple{"fan"}, "loud"))
	for item, err := range events.Scan(typed.Prefix(typed.Tuple{"disk"})) {
		must(err)
		fmt.Println(item.Key, item.Value)
	}
	// Output:
	// [disk -1] gone
	// [disk 3 true] full
}

// A type of one's own, as a key, and one that marshals itself, as a value.
func ExampleAs() {
	type HostID uint64
	hostIDs := typed.As(typed.Uint64{},
		func(id HostID) (uint64, error) { return uint64(id), nil },
		func(n uint64) (HostID, error) { return HostID(n), nil })

	store, ks := open("hosts")
	defer store.Close()
	hosts := typed.New(store, ks, hostIDs, typed.Binary[netip.Addr]())
	must(hosts.Put(HostID(1), netip.MustParseAddr("192.0.2.7")))
	addr, err := hosts.Get(HostID(1))
	must(err)
	fmt.Println(addr)
	// Output: 192.0.2.7
}

func ExampleAddIndex() {
	store, ks := open("users")
	defer store.Close()
	users := typed.New(store, ks, typed.Uint64{}, typed.JSON[User]{})
	byEmail, err := typed.AddIndex(users, "email", typed.String{},
		func(u User) []string { return []string{u.Email} }, typed.IndexOptions{Unique: true})
	must(err)
	byGroup, err := typed.AddIndex(users, "group", typed.String{},
		func(u User) []string { return u.Groups }, typed.IndexOptions{})
	must(err)

	must(users.Put(1, User{"Ada", "ada@example.com", []string{"admin", "staff"}}))
	must(users.Put(2, User{"Bob", "bob@example.com", []string{"staff"}}))

	id, user, err := byEmail.Get("bob@example.com")
	must(err)
	fmt.Println(id, user.Name)
	for item, err := range byGroup.Scan(typed.Only("staff")) {
		must(err)
		fmt.Println("staff:", item.Value.Name)
	}
	err = users.Put(3, User{"Eve", "ada@example.com", nil})
	_, taken := errors.AsType[*typed.UniqueError](err)
	fmt.Println("taken:", taken)
	// Output:
	// 2 Bob
	// staff: Ada
	// staff: Bob
	// taken: true
}

// A view inside a transaction: both balances change, or none.
func ExampleView_In() {
	store, ks := open("accounts")
	defer store.Close()
	accounts := typed.New(store, ks, typed.String{}, typed.Int64{})
	must(accounts.Put("ada", 100))
	must(accounts.Put("bob", 0))

	err := store.Update(context.Background(), func(tx *db.Tx) error {
		in := accounts.In(tx)
		from, err := in.Get("ada")
		if err != nil {
			return err
		}
		to, err := in.Get("bob")
		if err != nil {
			return err
		}
		return errors.Join(in.Put("ada", from-30), in.Put("bob", to+30))
	})
	must(err)
	for item, err := range accounts.Scan(typed.All[string]()) {
		must(err)
		fmt.Println(item.Key, item.Value)
	}
	// Output:
	// ada 70
	// bob 30
}

// A view of a snapshot does not move.
func ExampleView_At() {
	store, ks := open("counts")
	defer store.Close()
	counts := typed.New(store, ks, typed.String{}, typed.Uint64{})
	must(counts.Put("x", 1))
	snap, err := store.Snapshot()
	must(err)
	defer snap.Close()
	must(counts.Put("x", 2))

	before, err := counts.At(snap).Get("x")
	must(err)
	now, err := counts.Get("x")
	must(err)
	fmt.Println(before, now)
	// Output: 1 2
}

// An index that is added to items which are there already.
func ExampleIndex_Rebuild() {
	store, ks := open("users")
	defer store.Close()
	users := typed.New(store, ks, typed.Uint64{}, typed.JSON[User]{})
	must(users.Put(1, User{Name: "Ada"}))

	byName, err := typed.AddIndex(users, "name", typed.String{},
		func(u User) []string { return []string{u.Name} }, typed.IndexOptions{})
	must(err)
	_, _, err = byName.Get("Ada")
	fmt.Println(err)

	must(byName.Rebuild(context.Background()))
	id, _, err := byName.Get("Ada")
	must(err)
	fmt.Println(id)

	found, err := byName.Verify(context.Background())
	must(err)
	fmt.Println(found.OK(), found.Items, found.Entries)
	// Output:
	// typed: index is incomplete, and needs a Rebuild: "name"
	// 1
	// true 1 1
}
