package mvcc_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/mvcc"
	"github.com/cordwood-db/cordwood/vfs"
)

func check(errs ...error) {
	if err := errors.Join(errs...); err != nil {
		log.Fatal(err)
	}
}

// Reading the past: a price list as of any day.
func Example_timeTravel() {
	store, err := db.Open("/shop", &db.Options{FS: vfs.NewMem()})
	check(err)
	defer store.Close()
	prices, err := mvcc.Open(store, "prices", nil)
	check(err)

	set := func(day mvcc.Timestamp, item, price string) {
		b := prices.NewBatch()
		b.Put([]byte(item), []byte(price)) // an error shows in Commit
		check(b.Commit(day, db.Sync))
	}
	set(1, "apple", "30c")
	set(3, "apple", "35c")
	set(4, "pear", "50c")
	b := prices.NewBatch()
	b.Delete([]byte("apple"))
	check(b.Commit(6, db.Sync))

	for _, day := range []mvcc.Timestamp{2, 5, 7} {
		view, err := prices.At(day)
		check(err)
		fmt.Printf("day %d:", day)
		for item, err := range view.Scan(db.All()) {
			check(err)
			price, err := item.Value()
			check(err)
			fmt.Printf(" %s %s since %d", item.Key(), price, item.Version())
		}
		fmt.Println()
		check(view.Close())
	}
	for v, err := range prices.Versions([]byte("apple")) {
		check(err)
		price, _ := v.Value()
		fmt.Printf("apple on %d: %q, deleted: %v\n", v.Timestamp(), price, v.Deleted())
	}

	check(prices.SetDiscard(4)) // days 1 to 3 are of no interest any more
	_, err = prices.At(3)
	fmt.Println(err)
	// Output:
	// day 2: apple 30c since 1
	// day 5: apple 35c since 3 pear 50c since 4
	// day 7: pear 50c since 4
	// apple on 6: "", deleted: true
	// apple on 3: "35c", deleted: false
	// apple on 1: "30c", deleted: false
	// cordwood: timestamp is discarded: read at 3, below 4
}

// oracle hands out timestamps. A real one is a service that survives.
type oracle struct{ last mvcc.Timestamp }

func (o *oracle) next() mvcc.Timestamp { o.last++; return o.last }

// shard is one store of a distributed database: versions, and the writes of
// transactions that are prepared and not decided yet.
type shard struct {
	store   *db.DB
	data    *mvcc.Space
	intents *db.Keyspace
}

func newShard(name string) *shard {
	store, err := db.Open("/"+name, &db.Options{FS: vfs.NewMem()})
	check(err)
	data, err := mvcc.Open(store, "data", nil)
	check(err)
	intents, err := store.Keyspace("intents", nil)
	check(err)
	return &shard{store, data, intents}
}

// prepare promises to commit a write of a transaction that began at start, in
// one local transaction: no other one is prepared or was committed since.
func (s *shard) prepare(start mvcc.Timestamp, key, value string) error {
	return s.store.UpdateWith(context.Background(), db.TxOptions{Durability: db.Sync}, func(tx *db.Tx) error {
		intents := tx.In(s.intents)
		locked, err := intents.Has([]byte(key))
		if err != nil {
			return err
		}
		latest, err := s.data.LatestIn(tx, []byte(key))
		if err != nil {
			return err
		}
		if locked || latest > start {
			return db.ErrConflict
		}
		return intents.Put([]byte(key), []byte(value))
	})
}

// commit makes the prepared write a version, and removes the promise with the
// same commit: after a crash either both have happened, or commit is called
// again.
func (s *shard) commit(ts mvcc.Timestamp, key string) error {
	value, err := s.intents.Get([]byte(key))
	if err != nil {
		return err
	}
	var with db.Batch
	b := s.data.NewBatch()
	err = errors.Join(b.Put([]byte(key), value), with.In(s.intents).Delete([]byte(key)))
	if err != nil {
		return err
	}
	return b.CommitWith(&with, ts, db.Sync)
}

var errUndecided = errors.New("a transaction on this key is not decided")

// get reads at ts: intents and versions as of one moment. Without an intent
// nothing can be committed at or below ts any more, because whoever prepares
// later asks the oracle later.
func (s *shard) get(ts mvcc.Timestamp, key string) (string, error) {
	snap, err := s.store.Snapshot()
	if err != nil {
		return "", err
	}
	defer snap.Close()
	if locked, err := snap.In(s.intents).Has([]byte(key)); err != nil || locked {
		return "", errors.Join(err, errUndecided)
	}
	view, err := s.data.AtSnapshot(snap, ts)
	if err != nil {
		return "", err
	}
	defer view.Close()
	value, err := view.Get([]byte(key))
	return string(value), err
}

// A transaction over two stores: prepare in both, take a timestamp, commit in
// both at it.
func Example_distributed() {
	var clock oracle
	east, west := newShard("east"), newShard("west")
	defer east.store.Close()
	defer west.store.Close()

	start := clock.next()
	check(east.prepare(start, "ada", "90"), west.prepare(start, "bob", "110"))
	fmt.Println("another one:", east.prepare(clock.next(), "ada", "0"))

	before := clock.next()
	decided := clock.next() // a real coordinator makes this durable first
	check(east.commit(decided, "ada"))
	_, err := west.get(clock.next(), "bob")
	fmt.Println("in between:", err)
	check(west.commit(decided, "bob"))

	for _, ts := range []mvcc.Timestamp{before, clock.next()} {
		ada, adaErr := east.get(ts, "ada")
		bob, bobErr := west.get(ts, "bob")
		fmt.Printf("at %d: ada %q %v, bob %q %v\n", ts, ada, adaErr, bob, bobErr)
	}
	// Output:
	// another one: cordwood: transaction conflict
	// in between: a transaction on this key is not decided
	// at 3: ada "" cordwood: not found, bob "" cordwood: not found
	// at 6: ada "90" <nil>, bob "110" <nil>
}

func ExampleBatch_CommitIf() {
	store, err := db.Open("/accounts", &db.Options{FS: vfs.NewMem()})
	check(err)
	defer store.Close()
	accounts, err := mvcc.Open(store, "accounts", nil)
	check(err)
	b := accounts.NewBatch()
	b.Put([]byte("ada"), []byte("90"))
	check(b.Commit(7, db.Sync))

	// Two that have read at 8; the first to commit wins.
	for ts := mvcc.Timestamp(10); ts <= 11; ts++ {
		b.Reset()
		b.Put([]byte("ada"), fmt.Append(nil, ts))
		err := b.CommitIf(context.Background(), 8, ts, db.Sync)
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// cordwood: transaction conflict: a key has a version at 10, after 8
}
