package db_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/cordwood-db/cordwood/db"
)

// Moving something from one key to another: both change, or none. If another
// commit changes one of the balances in the meantime, the function runs again.
func ExampleDB_Update() {
	store := openInMemory(db.Options{})
	defer store.Close()
	must(store.Put([]byte("account/ada"), db.CounterBytes(100)))
	must(store.Put([]byte("account/bob"), db.CounterBytes(20)))

	errShort := errors.New("not enough money")
	move := func(from, to string, amount int64) error {
		return store.Update(context.Background(), func(tx *db.Tx) error {
			balances, err := tx.MultiGet([]byte(from), []byte(to))
			if err != nil {
				return err
			}
			a, errA := db.CounterValue(balances[0])
			b, errB := db.CounterValue(balances[1])
			if err := errors.Join(errA, errB); err != nil {
				return err
			}
			if a < amount {
				return errShort // rolls back; Update returns it as it is
			}
			return errors.Join(
				tx.Put([]byte(from), db.CounterBytes(a-amount)),
				tx.Put([]byte(to), db.CounterBytes(b+amount)))
		})
	}
	fmt.Println(move("account/ada", "account/bob", 70))
	fmt.Println(move("account/ada", "account/bob", 70) == errShort)
	for item, err := range store.Scan(db.Prefix([]byte("account/"))) {
		must(err)
		value, err := item.Value()
		must(err)
		n, _ := db.CounterValue(value)
		fmt.Printf("%s %d\n", item.Key(), n)
	}
	// Output:
	// <nil>
	// true
	// account/ada 30
	// account/bob 90
}

// Several reads of one moment, whatever is written meanwhile.
func ExampleDB_View() {
	store := openInMemory(db.Options{})
	defer store.Close()
	must(store.Put([]byte("a"), []byte("1")))
	must(store.Put([]byte("b"), []byte("1")))

	err := store.View(func(tx *db.Tx) error {
		a, err := tx.Get([]byte("a"))
		if err != nil {
			return err
		}
		must(store.Put([]byte("b"), []byte("2"))) // by somebody else
		b, err := tx.Get([]byte("b"))
		if err != nil {
			return err
		}
		fmt.Printf("a=%s b=%s\n", a, b)
		return nil
	})
	must(err)
	// Output: a=1 b=1
}

// Under SnapshotIsolation, what was only read is not checked. GetForUpdate makes
// an exception, here for a limit that must still hold.
func ExampleTx_GetForUpdate() {
	store := openInMemory(db.Options{})
	defer store.Close()
	must(store.Put([]byte("limit"), []byte("10")))

	tx, err := store.Begin(db.TxOptions{Isolation: db.SnapshotIsolation})
	must(err)
	defer tx.Discard()
	limit, err := tx.GetForUpdate([]byte("limit"))
	must(err)
	must(tx.Put([]byte("order/1"), limit))

	must(store.Put([]byte("limit"), []byte("5"))) // by somebody else
	fmt.Println(errors.Is(tx.Commit(), db.ErrConflict))
	// Output: true
}

// A transaction without a function around it. Discard after Commit does nothing,
// so that it can be deferred.
func ExampleDB_Begin() {
	store := openInMemory(db.Options{})
	defer store.Close()

	tx, err := store.Begin(db.TxOptions{Durability: db.Sync})
	if err != nil {
		log.Fatal(err)
	}
	defer tx.Discard()
	must(tx.Put([]byte("k"), []byte("v")))
	own, err := tx.Get([]byte("k"))
	must(err)
	_, err = store.Get([]byte("k"))
	fmt.Printf("own: %s, others: %v\n", own, err)

	// Who tries again after a conflict begins anew.
	if err := tx.Commit(); errors.Is(err, db.ErrConflict) {
		fmt.Println("somebody was faster")
	}
	value, err := store.Get([]byte("k"))
	must(err)
	fmt.Printf("committed: %s\n", value)
	// Output:
	// own: v, others: cordwood: not found
	// committed: v
}
