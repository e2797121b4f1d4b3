package db_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

func ExampleDB_Keyspace() {
	store := openInMemory(db.Options{})
	defer store.Close()

	users, err := store.Keyspace("users", nil)
	must(err)
	sessions, err := store.Keyspace("sessions", &db.KeyspaceOptions{DefaultTTL: time.Hour})
	must(err)

	// One batch over two keyspaces.
	b := store.NewBatch()
	must(b.In(users).Put([]byte("1"), []byte("Ada")))
	must(b.In(sessions).Put([]byte("token"), []byte("1")))
	must(store.Apply(b, db.Sync))

	value, err := users.Get([]byte("1"))
	must(err)
	_, err = store.Get([]byte("1")) // the default keyspace
	fmt.Printf("%s, %t\n", value, errors.Is(err, db.ErrNotFound))
	fmt.Println(store.Keyspaces())
	// Output:
	// Ada, true
	// [sessions users]
}

// Dropping a keyspace takes no longer for a large one.
func ExampleDB_DropKeyspace() {
	store := openInMemory(db.Options{})
	defer store.Close()

	cache, err := store.Keyspace("cache", nil)
	must(err)
	must(cache.Put([]byte("k"), []byte("v")))
	must(store.DropKeyspace("cache"))
	_, err = cache.Get([]byte("k"))
	fmt.Println(errors.Is(err, db.ErrKeyspaceDropped), store.Keyspaces())
	// Output: true []
}

func ExampleSnapshot_In() {
	store := openInMemory(db.Options{})
	defer store.Close()
	users, err := store.Keyspace("users", nil)
	must(err)
	must(users.Put([]byte("1"), []byte("Ada")))

	snapshot, err := store.Snapshot()
	must(err)
	defer snapshot.Close()
	must(users.Delete([]byte("1")))

	value, err := snapshot.In(users).Get([]byte("1"))
	must(err)
	fmt.Printf("%s\n", value)
	// Output: Ada
}

// A consumer keeps the sequence number of what it has dealt with, and resumes
// after it.
func ExampleDB_Subscribe() {
	store := openInMemory(db.Options{FeedBytes: 256 << 20})
	defer store.Close()

	feed, err := store.Subscribe(db.FeedOptions{Range: db.Prefix([]byte("order/"))})
	must(err)
	must(store.Put([]byte("order/1"), []byte("tea")))
	must(store.Put([]byte("user/1"), []byte("Ada")))

	batch, err := feed.Next(context.Background())
	must(err)
	for _, change := range batch.Changes {
		value, err := change.Value()
		must(err)
		fmt.Printf("%s %s = %s\n", change.Kind, change.Key, value)
	}
	done := batch.Seq // store this with what was made of the batch
	must(feed.Close())

	must(store.Put([]byte("order/2"), []byte("milk")))
	feed, err = store.Subscribe(db.FeedOptions{Range: db.Prefix([]byte("order/")), Resume: true, After: done})
	must(err)
	defer feed.Close()
	batch, err = feed.Next(context.Background())
	must(err)
	fmt.Printf("%s %s\n", batch.Changes[0].Kind, batch.Changes[0].Key)
	// Output:
	// put order/1 = tea
	// put order/2
}

// expired drops values that start with a day before today.
type expired struct{ today string }

func (f expired) Begin(db.FilterRun) db.FilterFunc {
	return func(e *db.FilterEntry) (db.FilterDecision, error) {
		value, err := e.Value()
		if err == nil && string(value[:min(10, len(value))]) < f.today {
			return db.FilterDrop, nil
		}
		return db.FilterKeep, err
	}
}

func ExampleOptions_compactionFilter() {
	store := openInMemory(db.Options{CompactionFilter: expired{today: "2026-11-21"}})
	defer store.Close()

	must(store.Put([]byte("a"), []byte("2026-11-20 old")))
	must(store.Put([]byte("b"), []byte("2026-11-22 new")))
	must(store.Compact(context.Background(), db.All())) // or when it happens anyhow
	for item, err := range store.Scan(db.All()) {
		must(err)
		value, err := item.Value()
		must(err)
		fmt.Println(string(item.Key()), string(bytes.ToUpper(value)))
	}
	// Output: b 2026-11-22 NEW
}
