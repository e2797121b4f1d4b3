package db

import "errors"

// PutIfAbsent is Keyspace.PutIfAbsent in the transaction: it sees the
// transaction's own writes, and the commit relies on its answer as on that of
// GetForUpdate.
func (t *Tx) PutIfAbsent(key, value []byte) (stored bool, err error) {
	return t.CompareAndSwap(key, nil, emptyIfNil(value))
}

// emptyIfNil is value, which a Put may be given as nil.
func emptyIfNil(value []byte) []byte {
	if value == nil {
		return []byte{}
	}
	return value
}

// CompareAndSwap is Keyspace.CompareAndSwap in the transaction. See PutIfAbsent.
func (t *Tx) CompareAndSwap(key, old, new []byte) (swapped bool, err error) {
	value, found, err := t.current(key)
	if err != nil || !matches(value, found, old) {
		return false, err
	}
	switch {
	case new != nil:
		err = t.Put(key, new)
	case found:
		err = t.Delete(key)
	}
	return err == nil, err
}

// GetAndDelete is Keyspace.GetAndDelete in the transaction. See PutIfAbsent.
func (t *Tx) GetAndDelete(key []byte) ([]byte, error) {
	value, err := t.GetForUpdate(key)
	if err == nil {
		err = t.Delete(key)
	}
	if err != nil {
		return nil, err
	}
	return value, nil
}

// Add is Keyspace.Add in the transaction. See PutIfAbsent.
func (t *Tx) Add(key []byte, delta int64) (int64, error) {
	value, found, err := t.current(key)
	if err != nil {
		return 0, err
	}
	sum, err := counterSum(value, found, delta)
	if err == nil {
		err = t.Put(key, CounterBytes(sum))
	}
	if err != nil {
		return 0, err
	}
	return sum, nil
}

// current is the value of key, which the commit relies on.
func (t *Tx) current(key []byte) (value []byte, found bool, err error) {
	value, err = t.GetForUpdate(key)
	if errors.Is(err, ErrNotFound) {
		return nil, false, nil
	}
	return value, err == nil, err
}
