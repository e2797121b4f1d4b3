package db

import (
	"bytes"

	"github.com/cordwood-db/cordwood/manifest"
	"github.com/cordwood-db/cordwood/memtable"
)

// Estimate is about how much a range holds.
type Estimate struct {
	Keys  uint64 // entries, of any kind and version
	Bytes uint64 // in tables and value log as they are stored, and in memtables
}

// Estimate says about how much r holds, in microseconds and without reading
// its entries: from the sizes of tables and, where a table lies in r only in
// part, from its index.
//
// It counts what is stored: overwritten versions, deletes and expired values
// count until compactions drop them, and keys under a range delete too, so that
// it is too high by as much. On a range without any it is right within a few
// per cent where the keys in r's tables have values of similar size. Where a
// table lies in r in part, its bytes are rounded up to whole blocks, and its
// share of the value log is taken to be that of its keys. Of keys that were
// written lately, and are in memtables, a sample is counted if there are many.
//
// Errors: ErrClosed, ErrKeyspaceDropped, and those of opening a table that lies
// in r in part.
func (ks *Keyspace) Estimate(r Range) (Estimate, error) {
	from, err := ks.reader()
	if err != nil {
		return Estimate{}, err
	}
	defer from.release()
	if r.empty() {
		return Estimate{}, nil
	}
	return from.estimate(r)
}

// Estimate is [Keyspace.Estimate] of the default keyspace.
func (db *DB) Estimate(r Range) (Estimate, error) { return db.main.Estimate(r) }

// estimate adds up what the sources of a reader hold in rng.
func (r *reader) estimate(rng Range) (Estimate, error) {
	var sum Estimate
	for _, m := range r.v.mems {
		sum.add(estimateMemtable(m, rng))
	}
	lower, upper := rng.bounds()
	for level := range r.v.tree.Levels {
		for _, t := range r.v.tree.Overlaps(level, lower, upper) {
			e, err := r.db.estimateTable(t, rng)
			if err != nil {
				return Estimate{}, err
			}
			sum.add(e)
		}
	}
	return sum, nil
}

func (e *Estimate) add(o Estimate) {
	e.Keys += o.Keys
	e.Bytes += o.Bytes
}

func estimateMemtable(m *memtable.Memtable, rng Range) Estimate {
	if m.Empty() {
		return Estimate{}
	}
	lower, upper := rng.bounds()
	if len(lower) == 0 {
		lower = nil
	}
	keys, size := m.Estimate(lower, upper)
	return Estimate{Keys: keys, Bytes: size + share(m.VlogBytes(), keys, uint64(m.Entries()))}
}

// estimateTable is about what a table that overlaps rng has of it. Only a table
// that is not in rng as a whole is opened.
func (db *DB) estimateTable(t *manifest.TableMeta, rng Range) (Estimate, error) {
	lower, upper := rng.bounds()
	if bytes.Compare(t.Smallest, lower) >= 0 && (upper == nil || endsBefore(t, upper)) {
		return Estimate{Keys: t.Entries, Bytes: t.Size + t.VlogBytes}, nil
	}
	h, err := db.tables.Get(t.Num, t.ID)
	if err != nil {
		return Estimate{}, err
	}
	defer h.Release()
	keys := h.ApproximateEntries(lower, upper)
	if keys == 0 {
		return Estimate{}, nil
	}
	size := min(h.ApproximateBytes(lower, upper), t.Size)
	return Estimate{Keys: keys, Bytes: size + share(t.VlogBytes, keys, t.Entries)}, nil
}

// endsBefore reports whether all keys of t are less than key.
func endsBefore(t *manifest.TableMeta, key []byte) bool {
	c := bytes.Compare(t.Largest, key)
	return c < 0 || c == 0 && t.LargestExclusive
}

// share is the part of n that part is of whole.
func share(n, part, whole uint64) uint64 {
	if part >= whole {
		return n
	}
	return uint64(float64(n) * (float64(part) / float64(whole)))
}
