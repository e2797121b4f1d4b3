package db

import (
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
)

// operands gathers the versions of one key that make its value, newest first,
// until one of them needs nothing below it.
type operands struct {
	list    [][]byte // merge operands, newest first; own copies
	base    []byte   // own copy
	hasBase bool
}

// add takes the next older version. done is true when it was the last needed.
func (o *operands) add(r *reader, key []byte, trailer base.Trailer, payload []byte, now uint64) (done bool, err error) {
	kind := trailer.Kind()
	expiry, value, err := base.SplitPayload(kind, payload)
	if err != nil {
		return false, payloadError(key, trailer, err)
	}
	if kind.HasExpiry() && expiry <= now {
		return true, nil
	}
	switch kind.Op() {
	case base.KindMerge:
		o.list = append(o.list, slices.Clone(value))
		return false, nil
	case base.KindSet:
		o.base, o.hasBase = slices.Clone(value), true
	case base.KindSetPointer:
		if o.base, err = r.readPointer(nil, key, trailer.SeqNum(), value); err != nil {
			return false, err
		}
		o.hasBase = true
	}
	return true, nil
}

// value appends what the operator makes of the operands to dst.
func (o *operands) value(dst []byte, op MergeOperator, key []byte) ([]byte, error) {
	if op == nil {
		return dst, ErrNoMerge
	}
	oldestFirst := slices.Clone(o.list)
	slices.Reverse(oldestFirst)
	return appendMerge(dst, op, key, o.base, o.hasBase, oldestFirst)
}

// appendMerge appends to dst what op makes of operands, oldest first. On an
// error it returns dst as it was, whatever op returns.
func appendMerge(dst []byte, op MergeOperator, key, below []byte, found bool, operands [][]byte) ([]byte, error) {
	room := dst
	if room == nil {
		room = []byte{}
	}
	value, err := op.Merge(room, key, below, found, operands)
	if err != nil {
		return dst, err
	}
	return value, nil
}

// appendMerged appends the value of a key whose newest version is a merge
// operand, as of the time now.
func (r *reader) appendMerged(dst []byte, key []byte, now uint64) ([]byte, error) {
	end := append(slices.Clone(key), 0)
	covering, err := r.coveringSeq(key)
	if err != nil {
		return dst, err
	}
	iter, err := r.newInternalIterator(&sourceOptions{lower: key, upper: end, fill: true})
	if err != nil {
		return dst, err
	}
	var o operands
	err = o.collect(r, iter, key, covering, now)
	if closeErr := iter.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return dst, err
	}
	return o.value(dst, r.ks.merge(), key)
}

// collect gathers the versions of key from iter.
func (o *operands) collect(r *reader, iter iterator.Iterator, key []byte, covering base.SeqNum, now uint64) error {
	for ok := iter.SeekGE(key, base.SeekTrailer(r.seq)); ok; ok = iter.Next() {
		k := iter.Key()
		if string(k.User) != string(key) || k.Trailer.SeqNum() < covering {
			break
		}
		done, err := o.add(r, key, k.Trailer, iter.Value(), now)
		if err != nil {
			return err
		}
		if done {
			break
		}
	}
	return iter.Err()
}
