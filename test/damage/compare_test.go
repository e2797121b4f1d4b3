package damage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/cordwood-db/cordwood/db"
)

// reading compares what a store shows with what it should.
type reading struct {
	c     *Case
	store *Store
	// mayLose are the keys whose reads may fail; nil: any.
	mayLose map[string]bool
	few     bool // what needs the file, samples of the rest, and one scan
	salt    uint64

	lost  map[string]bool // keys whose reads failed
	reads map[string]bool // classes of the errors
}

// typed checks an error of a read: it must be of the kinds that damage may
// give, and name what was damaged.
func (r *reading) typed(err error) error {
	k := class(err, r.c.system())
	if k == "" {
		return err
	}
	r.reads[k] = true
	return r.c.names(err)
}

// names checks that an error of damage names a file that the case changed.
func (c *Case) names(err error) error {
	var name string
	if e, ok := errors.AsType[*db.CorruptionError](err); ok {
		name = e.File
	} else if e, ok := errors.AsType[*db.MissingFileError](err); ok {
		name = e.File
	} else if e, ok := errors.AsType[*db.FormatError](err); ok {
		name = e.File
	} else {
		return nil
	}
	name = filepath.Base(name)
	if _, ok := c.Files[name]; ok || name == c.Dir || name == c.Unreadable {
		return nil
	}
	if c.Damage == damageStaleFile || len(c.Files) > 1 || c.Target.Role == roleManifest || c.Target.Role == roleCurrent {
		return nil // what is whole in itself is found not to fit the other files
	}
	if (c.Damage == damageDuplicate || c.Damage == damageOrphan) && kind(c.Target.Name) == ".wal" {
		return nil // one segment too many looks like one too few in between
	}
	return fmt.Errorf("names %s, which is whole: %w", name, err)
}

// compare reads a store, or a snapshot of it, in every way.
func (r *reading) compare(main, side db.Reader, want *View) error {
	r.lost, r.reads = make(map[string]bool), make(map[string]bool)
	if err := r.space(main, want.main); err != nil || r.store.old {
		return err
	}
	if err := r.space(side, want.side); err != nil {
		return fmt.Errorf("keyspace %q: %w", sideName, err)
	}
	return nil
}

func (r *reading) space(from db.Reader, want *View) error {
	needs, needed := r.c.Target.Needs, r.c.Target.Needs == nil
	for i, k := range want.probes {
		needed = needed || needs[k]
		if r.few && !needs[k] && mix(r.salt+uint64(i))%12 != 0 {
			continue
		}
		if err := r.point(from, want, k); err != nil {
			return err
		}
	}
	switch {
	case r.few && (!needed && r.salt%8 > 1 || needs != nil && r.salt%4 > 1):
		return nil // often, if the keyspace has nothing in the file; now and then, if it has
	case r.few:
		return r.scan(from, want, r.salt%2 == 0)
	}
	if err := r.multi(from, want); err != nil {
		return err
	}
	for _, backward := range []bool{false, true} {
		if err := r.scan(from, want, backward); err != nil {
			return fmt.Errorf("scan, backward %v: %w", backward, err)
		}
	}
	if err := r.seeks(from, want); err != nil {
		return err
	}
	return r.pages(from, want)
}

// point reads one key with Get and Has.
func (r *reading) point(from db.Reader, want *View, key string) error {
	value, there := want.State[key]
	got, err := from.Get([]byte(key))
	switch {
	case err == nil && (!there || string(got) != value):
		return fmt.Errorf("Get(%q) = %.40q, want %.40q (%v)", key, got, value, there)
	case errors.Is(err, db.ErrNotFound) && there:
		return fmt.Errorf("Get(%q): not found, want %.40q", key, value)
	case err != nil && !errors.Is(err, db.ErrNotFound):
		if err := r.failed(key, err); err != nil {
			return fmt.Errorf("Get(%q): %w", key, err)
		}
	}
	if r.few && err == nil {
		return nil
	}
	has, err := from.Has([]byte(key))
	switch {
	case err == nil && has != there:
		return fmt.Errorf("Has(%q) = %v", key, has)
	case err != nil:
		if err := r.failed(key, err); err != nil {
			return fmt.Errorf("Has(%q): %w", key, err)
		}
	}
	return nil
}

// failed notes that a key cannot be read.
func (r *reading) failed(key string, err error) error {
	if err := r.typed(err); err != nil {
		return err
	}
	r.lost[key] = true
	if r.mayLose != nil && !r.mayLose[key] {
		return fmt.Errorf("should be readable: %w", err)
	}
	return nil
}

// multi reads keys with MultiGet, in groups that fail as one.
func (r *reading) multi(from db.Reader, want *View) error {
	for group := range slices.Chunk(want.probes, 7) {
		keys := make([][]byte, len(group))
		for i, k := range group {
			keys[i] = []byte(k)
		}
		values, err := from.MultiGet(keys...)
		if err != nil {
			if err := r.typed(err); err != nil {
				return fmt.Errorf("MultiGet: %w", err)
			}
			if !slices.ContainsFunc(group, func(k string) bool { return r.lost[k] }) {
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

// scan walks everything: what it yields is right and without gaps, up to its
// end or to a typed error. (It may fail where no Get does: it reads what newer
// versions hide, too.)
func (r *reading) scan(from db.Reader, want *View, backward bool) error {
	keys, all := want.keys, db.All()
	if backward {
		keys = slices.Clone(keys)
		slices.Reverse(keys)
		all = all.Backward()
	}
	i := 0
	for item, err := range from.Scan(all) {
		if err != nil {
			return r.typed(err)
		}
		if i >= len(keys) || string(item.Key()) != keys[i] {
			return fmt.Errorf("item %d is %q, want %.60q", i, item.Key(), keys[min(i, len(keys)):])
		}
		value, err := item.Value()
		switch {
		case err != nil:
			if err := r.typed(err); err != nil {
				return fmt.Errorf("value of %q: %w", keys[i], err)
			}
		case string(value) != want.State[keys[i]]:
			return fmt.Errorf("value of %q = %.40q, want %.40q", keys[i], value, want.State[keys[i]])
		}
		i++
	}
	if i < len(keys) {
		return fmt.Errorf("ends without an error after %d of %d keys", i, len(keys))
	}
	return nil
}

// pages reads everything page by page.
func (r *reading) pages(from db.Reader, want *View) error {
	var token []byte
	for i := 0; ; {
		page, err := db.ReadPage(from, db.All(), token, 11)
		if err != nil {
			return r.typed(err)
		}
		for _, item := range page.Items {
			if i >= len(want.keys) || string(item.Key) != want.keys[i] || string(item.Value) != want.State[want.keys[i]] {
				return fmt.Errorf("item %d of pages is %q = %.40q, want %.60q", i, item.Key, item.Value, want.keys[min(i, len(want.keys)):])
			}
			i++
		}
		if token = page.Next; token == nil {
			if i < len(want.keys) {
				return fmt.Errorf("pages end after %d of %d keys", i, len(want.keys))
			}
			return nil
		}
	}
}

// seeks seeks with one cursor all over the place.
func (r *reading) seeks(from db.Reader, want *View) error {
	c, err := from.NewCursor(db.All())
	if err != nil {
		return r.typed(err)
	}
	defer c.Close()
	keys := want.keys
	for i := 0; i < len(keys); i += 5 {
		after := keys[i] + "\x00"
		if err := r.at(c, c.SeekGE([]byte(after)), keys, i+1); err != nil {
			return fmt.Errorf("SeekGE(%q): %w", after, err)
		}
		if err := r.at(c, c.SeekLT([]byte(after)), keys, i); err != nil {
			return fmt.Errorf("SeekLT(%q): %w", after, err)
		}
		if c.Valid() {
			if err := r.at(c, c.Next(), keys, i+1); err != nil {
				return fmt.Errorf("going on after SeekLT(%q): %w", after, err)
			}
		}
	}
	return nil
}

// at checks that a cursor stands at keys[i], or behind all of them.
func (r *reading) at(c *db.Cursor, ok bool, keys []string, i int) error {
	switch {
	case !ok && c.Err() != nil:
		return r.typed(c.Err())
	case !ok && i < len(keys):
		return fmt.Errorf("no key and no error, want %q", keys[i])
	case ok && (i >= len(keys) || string(c.Key()) != keys[i]):
		return fmt.Errorf("at %q, want %.60q", c.Key(), keys[min(i, len(keys)):])
	}
	return nil
}
