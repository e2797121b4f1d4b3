package damage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// Typed reports whether err is of the kinds that damage may give.
func Typed(err error) bool {
	var c *db.CorruptionError
	var m *db.MissingFileError
	var f *db.FormatError
	return errors.As(err, &c) || errors.As(err, &m) || errors.As(err, &f)
}

// Outcome is what became of a damaged store.
type Outcome struct {
	OpenErr error // typed; the rest is zero then
	Lost    int   // keys whose reads gave an error
	State   int   // index of the state that was found, of Store.States
}

// Check opens a damaged copy of s on fsys, which it changes, and returns an
// error if any promise about damage is broken. Of s.States those from lowest
// on are allowed. thorough compacts, collects garbage, and opens again.
func (s *Store) Check(fsys *vfs.Mem, lowest int, thorough bool) (Outcome, error) {
	opts := Options(fsys, checkTime)
	store, err := db.Open(dir, &opts)
	if err != nil {
		if !Typed(err) {
			return Outcome{}, fmt.Errorf("open: %w", err)
		}
		if n := fsys.OpenHandles(); n > 0 {
			return Outcome{}, fmt.Errorf("%d handles open after a failed Open", n)
		}
		return Outcome{OpenErr: err}, nil
	}
	out := Outcome{}
	state, lost, err := s.find(store, lowest)
	out.State, out.Lost = state, len(lost)
	if err == nil && thorough {
		err = churn(store, s.States[state], lost)
	}
	if cerr := store.Close(); cerr != nil && !Typed(cerr) && err == nil {
		err = fmt.Errorf("close: %w", cerr)
	}
	if n := fsys.OpenHandles(); n > 0 && err == nil {
		err = fmt.Errorf("%d handles open after Close", n)
	}
	if err != nil || !thorough {
		return out, err
	}
	store, err = db.Open(dir, &opts)
	if err != nil {
		return out, fmt.Errorf("open for the second time: %w", err)
	}
	if _, err := compare(store, s.States[state], lost); err != nil {
		return out, errors.Join(fmt.Errorf("after reopening: %w", err), store.Close())
	}
	if cerr := store.Close(); cerr != nil && !Typed(cerr) {
		return out, fmt.Errorf("close: %w", cerr)
	}
	return out, nil
}

// find finds out which of the allowed states the store holds: the newest that
// nothing contradicts.
func (s *Store) find(store *db.DB, lowest int) (state int, lost map[string]bool, err error) {
	for i := len(s.States) - 1; i >= lowest; i-- {
		lost, e := compare(store, s.States[i], nil)
		if e == nil {
			return i, lost, nil
		}
		if err == nil || i == lowest {
			err = errors.Join(err, fmt.Errorf("not state %d: %w", i, e))
		}
	}
	return len(s.States) - 1, nil, err
}

// churn lets everything be rewritten and compares again.
func churn(store *db.DB, want *View, lost map[string]bool) error {
	ctx := context.Background()
	if err := store.Compact(ctx, db.All()); err != nil && !Typed(err) {
		return fmt.Errorf("compact: %w", err)
	}
	ks, err := side(store)
	if err != nil {
		return err
	}
	if err := ks.Compact(ctx, db.All()); err != nil && !Typed(err) {
		return fmt.Errorf("compact %q: %w", sideName, err)
	}
	if err := store.CollectGarbage(ctx, 0); err != nil && !Typed(err) {
		return fmt.Errorf("CollectGarbage: %w", err)
	}
	if _, err := compare(store, want, lost); err != nil {
		return fmt.Errorf("after Compact and CollectGarbage: %w", err)
	}
	return nil
}

// quick counts the calls of compare.
var quick atomic.Uint64

// compare reads everything in every way. mayLose are the keys whose reads may
// fail, nil for any; those that do are returned.
func compare(store *db.DB, want *View, mayLose map[string]bool) (map[string]bool, error) {
	lost := make(map[string]bool)
	ks, err := side(store)
	if err != nil {
		return lost, err
	}
	all := mayLose != nil || quick.Add(1)%4 == 0 // ways to read, or few
	if err := compareSpace(store, want.main, mayLose, all, lost); err != nil {
		return lost, err
	}
	if err := compareSpace(ks, want.side, mayLose, all, lost); err != nil {
		return lost, fmt.Errorf("keyspace %q: %w", sideName, err)
	}
	return lost, nil
}

// compareSpace is compare for a keyspace.
func compareSpace(store db.Reader, want *View, mayLose map[string]bool, all bool, lost map[string]bool) error {
	for _, k := range want.probes {
		if err := comparePoint(store, want, k, lost); err != nil {
			return err
		}
		if lost[k] && mayLose != nil && !mayLose[k] {
			_, err := store.Get([]byte(k))
			return fmt.Errorf("%q could be read before: %w", k, err)
		}
	}
	if !all {
		return compareScan(store, want, false)
	}
	if err := compareMulti(store, want, lost); err != nil {
		return err
	}
	for _, backward := range []bool{false, true} {
		if err := compareScan(store, want, backward); err != nil {
			return fmt.Errorf("scan, backward %v: %w", backward, err)
		}
	}
	return compareSeeks(store, want)
}

// comparePoint reads one key with Get and Has.
func comparePoint(store db.Reader, want *View, key string, lost map[string]bool) error {
	value, there := want.State[key]
	got, err := store.Get([]byte(key))
	switch {
	case err == nil && (!there || string(got) != value):
		return fmt.Errorf("Get(%q) = %.40q, want %.40q (%v)", key, got, value, there)
	case errors.Is(err, db.ErrNotFound) && there:
		return fmt.Errorf("Get(%q): not found, want %.40q", key, value)
	case err != nil && !errors.Is(err, db.ErrNotFound):
		if !Typed(err) {
			return fmt.Errorf("Get(%q): %w", key, err)
		}
		lost[key] = true
	}
	has, err := store.Has([]byte(key))
	switch {
	case err == nil && has != there:
		return fmt.Errorf("Has(%q) = %v", key, has)
	case err != nil && !Typed(err):
		return fmt.Errorf("Has(%q): %w", key, err)
	case err != nil:
		lost[key] = true
	}
	return nil
}

// compareMulti reads keys with MultiGet, in groups that fail as one.
func compareMulti(store db.Reader, want *View, lost map[string]bool) error {
	for group := range slices.Chunk(want.probes, 7) {
		keys := make([][]byte, len(group))
		for i, k := range group {
			keys[i] = []byte(k)
		}
		values, err := store.MultiGet(keys...)
		if err != nil {
			if !Typed(err) {
				return fmt.Errorf("MultiGet: %w", err)
			}
			if !slices.ContainsFunc(group, func(k string) bool { return lost[k] }) {
				return fmt.Errorf("MultiGet fails where Get does not: %w", err)
			}
			continue
		}
		for i, k := range group {
			value, there := want.State[k]
			if there != (values[i] != nil) || string(values[i]) != value {
				return fmt.Errorf("MultiGet(%q) = %.40q, want %.40q (%v)", k, values[i], value, there)
			}
		}
	}
	return nil
}

// compareScan walks everything: what it yields is right and without gaps, up to
// its end or to a typed error. (It may fail where no Get does: it reads what
// newer versions hide, too.)
func compareScan(store db.Reader, want *View, backward bool) error {
	keys, r := want.keys, db.All()
	if backward {
		keys = slices.Clone(keys)
		slices.Reverse(keys)
		r = r.Backward()
	}
	i := 0
	for item, err := range store.Scan(r) {
		if err != nil {
			if !Typed(err) {
				return err
			}
			return nil
		}
		if i >= len(keys) || string(item.Key()) != keys[i] {
			return fmt.Errorf("item %d is %q, want %.60q", i, item.Key(), keys[min(i, len(keys)):])
		}
		value, err := item.Value()
		switch {
		case err != nil && !Typed(err):
			return fmt.Errorf("value of %q: %w", keys[i], err)
		case err == nil && string(value) != want.State[keys[i]]:
			return fmt.Errorf("value of %q = %.40q, want %.40q", keys[i], value, want.State[keys[i]])
		}
		i++
	}
	if i < len(keys) {
		return fmt.Errorf("ends without an error after %d of %d keys", i, len(keys))
	}
	return nil
}

// compareSeeks seeks with one cursor all over the place.
func compareSeeks(store db.Reader, want *View) error {
	c, err := store.NewCursor(db.All())
	if err != nil {
		if Typed(err) {
			return nil
		}
		return err
	}
	defer c.Close()
	keys := want.keys
	for i := 0; i < len(keys); i += 5 {
		after := keys[i] + "\x00"
		j := i + 1
		if err := compareAt(c, c.SeekGE([]byte(after)), keys, j); err != nil {
			return fmt.Errorf("SeekGE(%q): %w", after, err)
		}
		if err := compareAt(c, c.SeekLT([]byte(after)), keys, i); err != nil {
			return fmt.Errorf("SeekLT(%q): %w", after, err)
		}
		if c.Valid() {
			if err := compareAt(c, c.Next(), keys, i+1); err != nil {
				return fmt.Errorf("going on after SeekLT(%q): %w", after, err)
			}
		}
	}
	return nil
}

// compareAt checks that a cursor stands at keys[i], or behind all of them.
func compareAt(c *db.Cursor, ok bool, keys []string, i int) error {
	switch {
	case !ok && c.Err() != nil:
		if !Typed(c.Err()) {
			return c.Err()
		}
	case !ok && i < len(keys):
		return fmt.Errorf("no key and no error, want %q", keys[i])
	case ok && (i >= len(keys) || string(c.Key()) != keys[i]):
		return fmt.Errorf("at %q, want %.60q", c.Key(), keys[min(i, len(keys)):])
	}
	return nil
}
