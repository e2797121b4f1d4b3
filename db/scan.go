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
func (db *DB) Scan(r Range) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		c, err := db.NewCursor(r)
		scan(c, err, yield)
	}
}

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
