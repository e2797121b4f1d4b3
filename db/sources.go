package db

import (
	"bytes"
	"errors"
	"slices"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/iterator"
	"github.com/cordwood-db/cordwood/internal/rangedel"
	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/memtable"
	"github.com/cordwood-db/cordwood/sstable"
)

// sourceOptions say what an internal iterator has to cover.
type sourceOptions struct {
	lower, upper []byte // [lower, upper); nil upper: no end
	fill         bool   // put blocks that are read into the cache

	want wantedPrefix   // tables that have no key with it are passed over
	none iterator.Slice // in their place; has no entries

	// Tables that a range delete at or below seq covers whole are passed over.
	tombs *rangedel.Set
	seq   base.SeqNum

	own *memtable.Memtable // of a transaction, else nil
}

// newInternalIterator merges all sources of a keyspace that can hold keys of
// the range. o must not change any more.
func (r *reader) newInternalIterator(o *sourceOptions) (*iterator.Merging, error) {
	iters := make([]iterator.Iterator, 0, 1+len(r.v.mems)+len(r.v.tree.Levels[0])+manifest.NumLevels)
	if o.own != nil {
		iters = append(iters, o.own.NewIter())
	}
	for _, m := range r.v.mems {
		if !m.Empty() {
			iters = append(iters, m.NewIter())
		}
	}
	for level := range r.v.tree.Levels {
		tables := r.v.tree.Overlaps(level, o.lower, o.upper)
		if o.tombs != nil && !o.tombs.Empty() {
			tables = slices.DeleteFunc(slices.Clone(tables), o.covers)
		}
		if len(tables) == 0 {
			continue
		}
		if level > 0 {
			iters = append(iters, &levelIter{db: r.db, tables: tables, opts: o, at: -1})
			continue
		}
		for _, t := range tables {
			it, err := r.db.newTableIterator(t, o)
			if err != nil {
				for _, it := range iters {
					err = errors.Join(err, it.Close())
				}
				return nil, err
			}
			iters = append(iters, it)
		}
	}
	return iterator.NewMerging(iters...), nil
}

// covers reports whether a range delete hides all of t.
func (o *sourceOptions) covers(t *manifest.TableMeta) bool {
	return o.tombs.Covers(t.Smallest, t.Largest, t.SeqMax, o.seq)
}

// newTableIterator opens an iterator over a table, which it keeps open.
func (db *DB) newTableIterator(t *manifest.TableMeta, o *sourceOptions) (iterator.Iterator, error) {
	h, err := db.tables.Get(t.Num, t.ID)
	if err != nil {
		return nil, err
	}
	defer h.Release()
	if o.want.extractor != "" && !h.MayHavePrefix(o.want.prefix, o.want.extractor) {
		db.metrics.tablesSkipped.Add(1)
		return &o.none, nil
	}
	return h.NewIter(sstable.IterOptions{Fill: o.fill, Lower: o.lower, Upper: o.upper}), nil
}

// levelIter walks the tables of one level below 0 one after the other. It
// holds one of them open at a time.
type levelIter struct {
	db     *DB
	tables []*manifest.TableMeta // ascending, disjoint
	opts   *sourceOptions
	at     int               // index of the open table; -1 before, len after
	it     iterator.Iterator // of tables[at], nil if none is open
	err    error
}

// open makes tables[i] the current one. false at either end and on an error.
func (l *levelIter) open(i int) bool {
	if l.it != nil && i == l.at {
		return true
	}
	if !l.shut() {
		return false
	}
	l.at = max(-1, min(i, len(l.tables)))
	if i < 0 || i >= len(l.tables) {
		return false
	}
	l.it, l.err = l.db.newTableIterator(l.tables[i], l.opts)
	if l.err != nil {
		l.it = nil
	}
	return l.err == nil
}

// shut closes the current table.
func (l *levelIter) shut() bool {
	if l.it != nil {
		l.err = l.it.Close()
		l.it = nil
	}
	return l.err == nil
}

// forward goes on to later tables until one has an entry.
func (l *levelIter) forward(ok bool) bool {
	for !ok {
		if l.err != nil {
			return false
		}
		if l.it != nil {
			if l.err = l.it.Err(); l.err != nil {
				return false
			}
		}
		if !l.open(l.at + 1) {
			return false
		}
		ok = l.it.First()
	}
	return true
}

// backward goes on to earlier tables until one has an entry.
func (l *levelIter) backward(ok bool) bool {
	for !ok {
		if l.err != nil {
			return false
		}
		if l.it != nil {
			if l.err = l.it.Err(); l.err != nil {
				return false
			}
		}
		if !l.open(l.at - 1) {
			return false
		}
		ok = l.it.Last()
	}
	return true
}

// reset forgets an error, and the table that had it, so that a seek may try
// again.
func (l *levelIter) reset() {
	if l.err != nil && l.it != nil {
		_ = l.it.Close() // gives the error that was reported already
		l.it = nil
	}
	l.err = nil
}

// First implements iterator.Iterator.
func (l *levelIter) First() bool {
	l.reset()
	return l.forward(l.open(0) && l.it.First())
}

// Last implements iterator.Iterator.
func (l *levelIter) Last() bool {
	l.reset()
	return l.backward(l.open(len(l.tables)-1) && l.it.Last())
}

// SeekGE implements iterator.Iterator.
func (l *levelIter) SeekGE(user []byte, trailer base.Trailer) bool {
	l.reset()
	i, _ := slices.BinarySearchFunc(l.tables, user, func(t *manifest.TableMeta, key []byte) int {
		return bytes.Compare(t.Largest, key)
	})
	return l.forward(l.open(i) && l.it.SeekGE(user, trailer))
}

// SeekLT implements iterator.Iterator.
func (l *levelIter) SeekLT(user []byte) bool {
	l.reset()
	i, _ := slices.BinarySearchFunc(l.tables, user, func(t *manifest.TableMeta, key []byte) int {
		return bytes.Compare(t.Smallest, key)
	})
	return l.backward(l.open(i-1) && l.it.SeekLT(user))
}

// Next implements iterator.Iterator.
func (l *levelIter) Next() bool {
	if l.err != nil {
		return false
	}
	if l.it == nil {
		return l.forward(false)
	}
	return l.forward(l.it.Next())
}

// Prev implements iterator.Iterator.
func (l *levelIter) Prev() bool {
	if l.err != nil {
		return false
	}
	if l.it == nil {
		return l.backward(false)
	}
	return l.backward(l.it.Prev())
}

// Key implements iterator.Iterator.
func (l *levelIter) Key() base.InternalKey { return l.it.Key() }

// Value implements iterator.Iterator.
func (l *levelIter) Value() []byte { return l.it.Value() }

// Err implements iterator.Iterator.
func (l *levelIter) Err() error { return l.err }

// Close implements iterator.Iterator.
func (l *levelIter) Close() error {
	err := l.err
	l.err = nil
	l.shut()
	return errors.Join(err, l.err)
}
