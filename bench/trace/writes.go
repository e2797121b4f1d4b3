package trace

import (
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// writes are the recorded writes of a db.Writer that writes at once, or of a
// transaction.
type writes struct {
	scope scope
	to    db.Writer
}

// Put is Put of the store, recorded.
func (s *writes) Put(key, value []byte) error {
	start := s.scope.begin()
	err := s.to.Put(key, value)
	s.scope.point(KindPut, start, key, len(value), false, err)
	return err
}

// PutTTL is PutTTL of the store, recorded.
func (s *writes) PutTTL(key, value []byte, ttl time.Duration) error {
	start := s.scope.begin()
	err := s.to.PutTTL(key, value, ttl)
	s.scope.timed(KindPutTTL, start, key, len(value), ttl, false, err)
	return err
}

// Delete is Delete of the store, recorded.
func (s *writes) Delete(key []byte) error {
	start := s.scope.begin()
	err := s.to.Delete(key)
	s.scope.point(KindDelete, start, key, 0, false, err)
	return err
}

// DeleteRange is DeleteRange of the store, recorded.
func (s *writes) DeleteRange(r db.Range) error {
	start := s.scope.begin()
	err := s.to.DeleteRange(r)
	op := Op{Kind: KindDeleteRange, Start: start, Range: boundsOf(r), Error: classOf(err)}
	s.scope.done(&op)
	return err
}

// Merge is Merge of the store, recorded with the length of the operand.
func (s *writes) Merge(key, operand []byte) error {
	start := s.scope.begin()
	err := s.to.Merge(key, operand)
	s.scope.point(KindMerge, start, key, len(operand), false, err)
	return err
}

// conditionalWriter is what conditionals are made of.
type conditionalWriter interface {
	PutIfAbsent(key, value []byte) (stored bool, err error)
	CompareAndSwap(key, old, new []byte) (swapped bool, err error)
	GetAndDelete(key []byte) ([]byte, error)
	Add(key []byte, delta int64) (int64, error)
}

// conditionals are the recorded conditional writes.
type conditionals struct {
	scope scope
	on    conditionalWriter
}

// counterBytes is the length of a number that Add stores.
const counterBytes = 8

// PutIfAbsent is PutIfAbsent of the store, recorded.
func (s *conditionals) PutIfAbsent(key, value []byte) (stored bool, err error) {
	start := s.scope.begin()
	stored, err = s.on.PutIfAbsent(key, value)
	s.scope.point(KindPutIfAbsent, start, key, len(value), stored, err)
	return stored, err
}

// CompareAndSwap is CompareAndSwap of the store, recorded with the length of new.
func (s *conditionals) CompareAndSwap(key, old, new []byte) (swapped bool, err error) {
	start := s.scope.begin()
	swapped, err = s.on.CompareAndSwap(key, old, new)
	op := Op{Kind: KindCompareAndSwap, Start: start, Key: key, Length: len(new), Removes: new == nil,
		Found: swapped && err == nil, Error: classOf(err)}
	s.scope.done(&op)
	return swapped, err
}

// GetAndDelete is GetAndDelete of the store, recorded.
func (s *conditionals) GetAndDelete(key []byte) ([]byte, error) {
	start := s.scope.begin()
	value, err := s.on.GetAndDelete(key)
	s.scope.point(KindGetAndDelete, start, key, len(value), true, err)
	return value, err
}

// Add is Add of the store, recorded.
func (s *conditionals) Add(key []byte, delta int64) (int64, error) {
	start := s.scope.begin()
	sum, err := s.on.Add(key, delta)
	s.scope.point(KindAdd, start, key, counterBytes, true, err)
	return sum, err
}
