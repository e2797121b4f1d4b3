package db_test

import (
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// A lock that ends by itself, should its owner not live to give it back.
func ExampleDB_PutIfAbsentTTL() {
	store := openInMemory(db.Options{})
	defer store.Close()

	lock := []byte("lock/report")
	fmt.Println(store.PutIfAbsentTTL(lock, []byte("worker 1"), time.Minute))
	fmt.Println(store.PutIfAbsentTTL(lock, []byte("worker 2"), time.Minute))
	// Only the owner gives it back.
	fmt.Println(store.CompareAndSwap(lock, []byte("worker 2"), nil))
	fmt.Println(store.CompareAndSwap(lock, []byte("worker 1"), nil))
	// Output:
	// true <nil>
	// false <nil>
	// false <nil>
	// true <nil>
}

// A change of a document that does not overwrite what others have changed since
// it was read.
func ExampleKeyspace_CompareAndSwap() {
	store := openInMemory(db.Options{})
	defer store.Close()
	pages, err := store.Keyspace("pages", nil)
	must(err)

	key := []byte("home")
	fmt.Println(pages.CompareAndSwap(key, nil, []byte("first draft"))) // nil: no value

	read, err := pages.Get(key)
	must(err)
	must(pages.Put(key, []byte("second draft"))) // somebody else
	fmt.Println(pages.CompareAndSwap(key, read, []byte("my draft")))

	value, err := pages.Get(key)
	fmt.Printf("%s %v\n", value, err)
	// Output:
	// true <nil>
	// false <nil>
	// second draft <nil>
}

// Each job is taken once, whoever comes first.
func ExampleDB_GetAndDelete() {
	store := openInMemory(db.Options{})
	defer store.Close()

	must(store.Put([]byte("job/1"), []byte("sweep the floor")))
	job, err := store.GetAndDelete([]byte("job/1"))
	fmt.Printf("%s %v\n", job, err)
	_, err = store.GetAndDelete([]byte("job/1"))
	fmt.Println(err == db.ErrNotFound)
	// Output:
	// sweep the floor <nil>
	// true
}

func ExampleDB_Add() {
	store := openInMemory(db.Options{})
	defer store.Close()

	fmt.Println(store.Add([]byte("seats"), 40))
	fmt.Println(store.Add([]byte("seats"), -3))
	// Output:
	// 40 <nil>
	// 37 <nil>
}

// Numbers for new keys. After a crash, some are skipped, but none comes again.
func ExampleDB_Sequence() {
	store := openInMemory(db.Options{})
	defer store.Close()

	ids, err := store.Sequence([]byte("ids"), 100)
	must(err)
	for range 3 {
		id, err := ids.Next()
		must(err)
		must(store.Put(fmt.Appendf(nil, "user/%d", id), nil))
	}
	must(ids.Close()) // gives 97 numbers back

	ids, err = store.Sequence([]byte("ids"), 100)
	must(err)
	fmt.Println(ids.Next())
	must(ids.Close())
	// Output: 4 <nil>
}
