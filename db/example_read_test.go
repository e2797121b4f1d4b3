package db_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/db"
)

// A server that keeps nothing between requests hands out tokens.
func ExampleReadPage() {
	store := openInMemory(db.Options{})
	defer store.Close()
	for i := range 5 {
		must(store.Put(fmt.Appendf(nil, "post/%d", i), fmt.Appendf(nil, "text %d", i)))
	}

	newestFirst := db.Prefix([]byte("post/")).Backward()
	request := "" // what the client sends
	for {
		token, err := base64.URLEncoding.DecodeString(request)
		must(err)
		page, err := db.ReadPage(store, newestFirst, token, 2)
		must(err)
		for _, item := range page.Items {
			fmt.Printf("%s: %s\n", item.Key, item.Value)
		}
		if page.Next == nil {
			break
		}
		request = base64.URLEncoding.EncodeToString(page.Next)
		fmt.Println("--")
	}

	_, err := db.ReadPage(store, newestFirst, []byte("made up"), 2)
	fmt.Println(errors.Is(err, db.ErrInvalidToken))
	// Output:
	// post/4: text 4
	// post/3: text 3
	// --
	// post/2: text 2
	// post/1: text 1
	// --
	// post/0: text 0
	// true
}

func ExampleDB_Estimate() {
	store := openInMemory(db.Options{})
	defer store.Close()
	for i := range 100 {
		must(store.Put(fmt.Appendf(nil, "user/%02d", i), []byte("some value")))
	}

	e, err := store.Estimate(db.Prefix([]byte("user/4")))
	must(err)
	fmt.Println("keys, about:", e.Keys)
	fmt.Println("bytes, more than:", e.Bytes/100*100)
	// Output:
	// keys, about: 10
	// bytes, more than: 100
}

// With prefix filters a scan of one user's keys passes over the tables that
// have none of them.
func ExampleDelimitedPrefix() {
	store := openInMemory(db.Options{Prefix: db.DelimitedPrefix('/')})
	defer store.Close()
	ctx := context.Background()
	for _, key := range []string{"ada/1", "zoe/1"} {
		must(store.Put([]byte(key), nil))
	}
	must(store.Flush(ctx))
	for _, key := range []string{"ada/2", "bob/1", "zoe/2"} {
		must(store.Put([]byte(key), nil))
	}
	must(store.Flush(ctx))

	for item, err := range store.Scan(db.Prefix([]byte("bob/"))) {
		must(err)
		fmt.Printf("%s\n", item.Key())
	}
	fmt.Println("tables skipped:", store.Metrics().TablesSkipped)
	// Output:
	// bob/1
	// tables skipped: 1
}
