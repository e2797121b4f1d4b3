package db

import "iter"

// Scan walks r as of the moment the loop begins, and cleans up after itself
// however the loop ends:
//
//	for item, err := range store.Scan(db.Prefix([]byte("user/"))) {
//		if err != nil {
//			return err
//		}
//		fmt.Printf("%s\n", item.Key())
//	}
//
// An error ends the loop: it is yielded once, with an item that must not be
// used.
func (ks *Keyspace) Scan(r Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		c, err := ks.NewCursor(r)
		scan(c, err, yield)
	}
}

// Scan is [Keyspace.Scan] of the default keyspace.
func (db *DB) Scan(r Range) iter.Seq2[Item, error] { return db.main.Scan(r) }

// scan drives a cursor that it owns.
func scan(c *Cursor, err error, yield func(Item, error) bool) {
	if err != nil {
		yield(Item{}, err)
		return
	}
	defer c.Close()
	step := c.Next
	if c.rng.backward {
		step = c.Prev
	}
	for step() {
		if !yield(Item{c}, nil) {
			return
		}
	}
	if err := c.Err(); err != nil {
		yield(Item{}, err)
	}
}
