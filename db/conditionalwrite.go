package db

import "time"

// PutIfAbsent sets key to value if it has none, and says whether it did. It is
// one step: of all that put a value where there is none, one does. A value that
// has expired is none.
//
// Like CompareAndSwap, GetAndDelete and Add it waits for other conditional
// writes of its key, never gives ErrConflict, and has the store's default
// durability. When it writes nothing, its answer is what a Get would have found.
// A store that takes no writes refuses it also where there is nothing to write.
func (ks *Keyspace) PutIfAbsent(key, value []byte) (stored bool, err error) {
	return ks.putIfAbsent(key, value, 0)
}

// PutIfAbsentTTL is PutIfAbsent of a value that expires as one of PutTTL does.
// ttl is positive; it counts from when the value is written.
func (ks *Keyspace) PutIfAbsentTTL(key, value []byte, ttl time.Duration) (stored bool, err error) {
	if _, err := expiryAfter(ks.db.clock(), ttl); err != nil {
		return false, err
	}
	return ks.putIfAbsent(key, value, ttl)
}

func (ks *Keyspace) putIfAbsent(key, value []byte, ttl time.Duration) (stored bool, err error) {
	c := ks.newConditional(key)
	defer c.free()
	c.value, c.ttl = value, ttl
	if err := c.run((*conditional).putIfAbsent); err != nil {
		return false, err
	}
	return c.done, nil
}

// CompareAndSwap sets key to new if its value is old, byte for byte, and says
// whether it was. As old, nil stands for a key without a value; as new, nil
// deletes. An empty slice that is not nil is the empty value. The time when the
// new value expires is that of a Put; that of the old one is not compared. See
// PutIfAbsent for what conditional writes have in common.
//
// The value alone is compared: one that was changed and changed back in the
// meantime is the same. Use a transaction for conditions on several keys.
func (ks *Keyspace) CompareAndSwap(key, old, new []byte) (swapped bool, err error) {
	c := ks.newConditional(key)
	defer c.free()
	c.old, c.value = old, new
	if err := c.run((*conditional).compareAndSwap); err != nil {
		return false, err
	}
	return c.done, nil
}

// GetAndDelete removes key and returns the value that it had, in a slice of the
// caller's own: of all that remove a value, one gets it. ErrNotFound if there is
// none. See PutIfAbsent for what conditional writes have in common.
func (ks *Keyspace) GetAndDelete(key []byte) ([]byte, error) {
	c := ks.newConditional(key)
	defer c.free()
	if err := c.run((*conditional).getAndDelete); err != nil {
		return nil, err
	}
	return c.got, nil
}

// Add adds delta to the number at key and returns the sum. Numbers are those of
// Counter: eight bytes, little-endian, signed; sums wrap around; a key without a
// value counts as 0. A value of another length is an error and stays. The sum
// expires as the value of a Put does. See PutIfAbsent for what conditional
// writes have in common.
//
// Each Add waits for the one before it. Where the sum is not needed at once,
// Merge with the Counter operator does not.
func (ks *Keyspace) Add(key []byte, delta int64) (int64, error) {
	c := ks.newConditional(key)
	defer c.free()
	c.delta = delta
	if err := c.run((*conditional).add); err != nil {
		return 0, err
	}
	return c.sum, nil
}

// PutIfAbsent is [Keyspace.PutIfAbsent] of the default keyspace.
func (db *DB) PutIfAbsent(key, value []byte) (stored bool, err error) {
	return db.main.PutIfAbsent(key, value)
}

// PutIfAbsentTTL is [Keyspace.PutIfAbsentTTL] of the default keyspace.
func (db *DB) PutIfAbsentTTL(key, value []byte, ttl time.Duration) (stored bool, err error) {
	return db.main.PutIfAbsentTTL(key, value, ttl)
}

// CompareAndSwap is [Keyspace.CompareAndSwap] of the default keyspace.
func (db *DB) CompareAndSwap(key, old, new []byte) (swapped bool, err error) {
	return db.main.CompareAndSwap(key, old, new)
}

// GetAndDelete is [Keyspace.GetAndDelete] of the default keyspace.
func (db *DB) GetAndDelete(key []byte) ([]byte, error) { return db.main.GetAndDelete(key) }

// Add is [Keyspace.Add] of the default keyspace.
func (db *DB) Add(key []byte, delta int64) (int64, error) { return db.main.Add(key, delta) }
