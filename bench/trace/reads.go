package trace

import (
	"iter"

	"github.com/cordwood-db/cordwood/db"
)

// StoreReader is what a DB, a Keyspace, a Snapshot and a Tx have in common: the
// methods of db.Reader, with cursors that are recorded.
type StoreReader interface {
	Get(key []byte) ([]byte, error)
	AppendGet(dst, key []byte) ([]byte, error)
	Has(key []byte) (bool, error)
	MultiGet(keys ...[]byte) ([][]byte, error)
	Scan(r db.Range) iter.Seq2[db.Item, error]
	NewCursor(r db.Range) (*Cursor, error)
	ReadPage(r db.Range, token []byte, limit int) (db.Page, error)
}

// reads are the recorded reads of a db.Reader.
type reads struct {
	scope scope
	from  db.Reader
}

// Get is Get of the store, recorded.
func (s *reads) Get(key []byte) ([]byte, error) {
	start := s.scope.begin()
	value, err := s.from.Get(key)
	s.scope.point(KindGet, start, key, len(value), true, err)
	return value, err
}

// AppendGet is AppendGet of the store, recorded as a Get.
func (s *reads) AppendGet(dst, key []byte) ([]byte, error) {
	start := s.scope.begin()
	value, err := s.from.AppendGet(dst, key)
	s.scope.point(KindGet, start, key, len(value)-len(dst), true, err)
	return value, err
}

// Has is Has of the store, recorded.
func (s *reads) Has(key []byte) (bool, error) {
	start := s.scope.begin()
	ok, err := s.from.Has(key)
	s.scope.point(KindHas, start, key, 0, ok, err)
	return ok, err
}

// MultiGet is MultiGet of the store, recorded as one operation; in a transaction
// as a Get for each key.
func (s *reads) MultiGet(keys ...[]byte) ([][]byte, error) {
	start := s.scope.begin()
	values, err := s.from.MultiGet(keys...)
	s.scope.multiGet(start, keys, values, err)
	return values, err
}

// Scan is Scan of the store, recorded when the loop ends, with the time that its
// body takes.
func (s *reads) Scan(r db.Range) iter.Seq2[db.Item, error] {
	return func(yield func(db.Item, error) bool) {
		op := Op{Kind: KindScan, Start: s.scope.begin(), Range: boundsOf(r)}
		defer s.scope.done(&op)
		for item, err := range s.from.Scan(r) {
			if err != nil {
				op.Error = classOf(err)
			} else {
				op.Entries++
				op.Bytes += uint64(len(item.Key()) + item.ValueSize())
			}
			if !yield(item, err) {
				return
			}
		}
	}
}

// NewCursor is NewCursor of the store. What is recorded are its walks, each from
// one positioning to the next one or to Close, with the time between.
func (s *reads) NewCursor(r db.Range) (*Cursor, error) {
	start := s.scope.begin()
	inner, err := s.from.NewCursor(r)
	if err != nil {
		op := Op{Kind: KindWalk, Start: start, Range: boundsOf(r), Error: classOf(err)}
		s.scope.done(&op)
		return nil, err
	}
	c := &Cursor{scope: s.scope, c: inner, bounds: boundsOf(r)}
	if s.scope.log != nil {
		s.scope.log.cursors = append(s.scope.log.cursors, c)
	}
	return c, nil
}

// ReadPage is db.ReadPage, recorded as a scan of what it read: behind the first
// page, from the first key of the page.
func (s *reads) ReadPage(r db.Range, token []byte, limit int) (db.Page, error) {
	start := s.scope.begin()
	page, err := db.ReadPage(s.from, r, token, limit)
	op := Op{Kind: KindScan, Start: start, Range: boundsOf(r), Error: classOf(err), Entries: uint64(len(page.Items))}
	for i := range page.Items {
		op.Bytes += uint64(len(page.Items[i].Key) + len(page.Items[i].Value))
	}
	if len(token) > 0 && len(page.Items) > 0 {
		if first := page.Items[0].Key; r.IsBackward() {
			op.Range.Upper = append(first[:len(first):len(first)], 0)
		} else {
			op.Range.Lower = first
		}
	}
	s.scope.done(&op)
	return page, err
}
