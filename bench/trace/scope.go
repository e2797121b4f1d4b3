package trace

import (
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// scope says where an operation belongs, and takes it.
type scope struct {
	r        *Recorder
	log      *txLog // of the transaction; nil: none
	client   uint32
	keyspace uint32
	snapshot bool
}

// begin is the time when an operation begins.
func (s *scope) begin() time.Duration {
	if s.log != nil {
		return 0 // items have no times
	}
	return s.r.now()
}

// done takes an operation that has ended.
func (s *scope) done(op *Op) {
	op.Client, op.Keyspace, op.Snapshot = s.client, s.keyspace, s.snapshot
	if s.log != nil {
		s.log.add(op)
		return
	}
	s.r.record(op, nil, 0)
}

// point takes an operation on one key.
func (s *scope) point(kind Kind, start time.Duration, key []byte, length int, found bool, err error) {
	op := Op{Kind: kind, Start: start, Key: key, Length: length, Found: found && err == nil, Error: classOf(err)}
	s.done(&op)
}

// timed is point for what expires.
func (s *scope) timed(kind Kind, start time.Duration, key []byte, length int, ttl time.Duration, found bool, err error) {
	op := Op{Kind: kind, Start: start, Key: key, Length: length, TTL: ttl, Found: found && err == nil, Error: classOf(err)}
	s.done(&op)
}

// boundsOf is a range as it is recorded.
func boundsOf(r db.Range) Bounds {
	b := Bounds{Lower: r.Lower(), Backward: r.IsBackward(), KeysOnly: r.IsKeysOnly()}
	if upper, ok := r.Upper(); ok {
		if b.Upper = upper; upper == nil {
			b.Upper = []byte{}
		}
	}
	return b
}

// itemLog collects the items of a batch or transaction, encoded as the
// recorder's buffer has them.
type itemLog struct {
	enc encoder
	n   int
	cut uint64
}

// itemBytesMax leaves a record room for the rest within recordKeyBytesMax.
const itemBytesMax = recordKeyBytesMax - 4*keyBytesMax

func (l *itemLog) add(op *Op) {
	need := len(op.Key) + len(op.Range.Lower) + len(op.Range.Upper) + 128
	if l.cut > 0 || l.n == recordItemsMax || len(l.enc.buf)+need > itemBytesMax {
		l.cut++
		return
	}
	l.enc.item(op)
	l.n++
}

func (l *itemLog) reset() { *l = itemLog{enc: encoder{buf: l.enc.buf[:0]}} }

// opLists are used again, so that recording a MultiGet allocates nothing.
var opLists = sync.Pool{New: func() any { return new([]Op) }}

// multiGet takes a MultiGet.
func (s *scope) multiGet(start time.Duration, keys, values [][]byte, err error) {
	list := opLists.Get().(*[]Op)
	op := Op{Kind: KindMultiGet, Start: start, Error: classOf(err), Items: (*list)[:0]}
	size := 0
	for i, key := range keys {
		size += len(key) + 32
		if len(op.Items) == recordItemsMax || size > itemBytesMax {
			op.Cut = uint64(len(keys) - i)
			break
		}
		item := Op{Kind: KindGet, Keyspace: s.keyspace, Key: key}
		if err == nil && i < len(values) && values[i] != nil {
			item.Found, item.Length = true, len(values[i])
		}
		if s.log == nil {
			op.Items = append(op.Items, item)
		} else {
			item.Error = op.Error
			s.done(&item)
		}
	}
	if s.log == nil {
		s.done(&op)
	}
	clear(op.Items)
	*list = op.Items[:0]
	opLists.Put(list)
}
