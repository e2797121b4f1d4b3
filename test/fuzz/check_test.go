package fuzz

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// bound is what all of check may take: a few openings of a store, with their
// memtables and caches, and merges of all its tables.
var bound = testkit.Bound{PerByte: 512, Fixed: 16 << 20}

// isTyped reports whether err is what a directory may be told to be.
func isTyped(err error) bool {
	_, damage := errors.AsType[*db.CorruptionError](err)
	_, missing := errors.AsType[*db.MissingFileError](err)
	_, format := errors.AsType[*db.FormatError](err)
	return damage || missing || format
}

// checker opens one directory.
type checker struct {
	t      *testing.T
	fs     *vfs.Mem
	im     *image
	forged bool // checksums were made right again, so that contents may be anything
}

// check opens what an image has become in every way. forged says that its
// checksums say nothing.
func check(t *testing.T, im *image, forged bool) {
	t.Helper()
	c := &checker{t: t, fs: im.mem(t), im: im, forged: forged}
	bound.Run(t, im.size(), func() {
		c.readOnly()
		c.write()
	})
	if n := c.fs.OpenHandles(); n != 0 {
		t.Errorf("%d files are left open", n)
	}
}

// fine fails the test for errors that bytes on disk must not lead to. Forged ones
// may hold an operand where there is no merge operator, or leave no sequence number
// for a commit, which ends writing.
func (c *checker) fine(doing string, err error) {
	c.t.Helper()
	forged := c.forged && (errors.Is(err, db.ErrNoMerge) ||
		errors.Is(err, db.ErrReadOnly) && strings.Contains(err.Error(), "sequence numbers are used up"))
	if err != nil && !isTyped(err) && !forged {
		c.t.Fatalf("%s: %v", doing, err)
	}
}

// open opens the store; nil if it is refused.
func (c *checker) open(opts *db.Options) *db.DB {
	c.t.Helper()
	store, err := db.Open(dir, opts)
	switch {
	case err == nil:
		return store
	case isTyped(err):
	case len(c.im.files) == 0 && errors.Is(err, fs.ErrNotExist):
	case c.forged && errors.Is(err, db.ErrMergeOperator):
	default:
		c.t.Fatalf("open: %v", err)
	}
	return nil
}

// watch fails the test for operations that may not be; stop ends that.
func (c *checker) watch(allowed func(vfs.Op) bool) (stop func()) {
	var mu sync.Mutex
	var bad []string
	c.fs.SetHook(func(op vfs.Op) error {
		if op.Kind.Mutates() && !allowed(op) {
			mu.Lock()
			defer mu.Unlock()
			bad = append(bad, fmt.Sprintf("%s %s", op.Kind, op.Path))
		}
		return nil
	})
	return func() {
		c.t.Helper()
		c.fs.SetHook(nil)
		mu.Lock()
		defer mu.Unlock()
		if len(bad) > 0 {
			c.t.Fatalf("not allowed: %s", bad)
		}
	}
}

// readOnly opens the store without writing.
func (c *checker) readOnly() {
	names := c.list()
	defer c.watch(func(op vfs.Op) bool { return op.Kind == vfs.OpLock })()
	opts := options(c.fs)
	opts.ReadOnly = true
	store := c.open(opts)
	if store == nil {
		return
	}
	c.readAll(store)
	c.fine("close", store.Close())
	if after := c.list(); !slices.Equal(after, names) {
		c.t.Fatalf("files %q became %q", names, after)
	}
}

// list is the names in the directory.
func (c *checker) list() (names []string) {
	infos, err := c.fs.List(dir)
	must(c.t, err)
	for _, info := range infos {
		names = append(names, info.Name)
	}
	return names
}

// write opens the store, changes it and opens it again.
func (c *checker) write() {
	inside := func(p string) bool { return p == "" || p == dir || path.Dir(p) == dir }
	defer c.watch(func(op vfs.Op) bool { return inside(op.Path) && inside(op.OldPath) })()
	store := c.open(options(c.fs))
	if store == nil {
		return
	}
	before := c.readAll(store)
	wrote, err := c.churn(store)
	c.fine("write", err)
	during := c.readAll(store)
	c.compare(before, during)
	c.fine("close", store.Close())
	if store = c.open(options(c.fs)); store == nil {
		c.t.Fatal("opened once, and not again")
	}
	after := c.readAll(store)
	c.compare(during, after)
	for key, want := range wrote {
		got, err := store.Get([]byte(key))
		if c.fine("get", err); err == nil && string(got) != want {
			c.t.Fatalf("%q was written and is %q, want %q", key, got, want)
		}
	}
	c.fine("close", store.Close())
}

// churn writes, merges and collects; it says what it has written.
func (c *checker) churn(store *db.DB) (wrote map[string]string, err error) {
	ctx := context.Background()
	wrote = map[string]string{"new/small": "1", "new/large": large("new", 3)}
	for key, value := range wrote {
		if err := store.Put([]byte(key), []byte(value)); err != nil {
			return nil, err
		}
		got, err := store.Get([]byte(key))
		if c.fine("get", err); err == nil && string(got) != value {
			c.t.Fatalf("%q was just written: %q", key, got)
		}
	}
	c.fine("flush", store.Flush(ctx))
	c.fine("compact", store.Compact(ctx, db.All()))
	if side, err := c.side(store); err == nil {
		c.fine("compact", side.Compact(ctx, db.All()))
	}
	c.fine("collect garbage", store.CollectGarbage(ctx, 0))
	return wrote, nil
}

func (c *checker) side(store *db.DB) (*db.Keyspace, error) {
	side, err := store.Keyspace(sideName, &db.KeyspaceOptions{MustExist: true})
	if err != nil && !isTyped(err) && !(c.forged && (errors.Is(err, db.ErrNoKeyspace) || errors.Is(err, db.ErrMergeOperator))) {
		c.t.Fatalf("keyspace %q: %v", sideName, err)
	}
	return side, err
}

// What readAll says of a key instead of a value.
const (
	missing = ""
	damaged = "\x00damaged"
)

// readAll reads every key that there is, and all that there were, in several
// ways that must agree, and compares them with what may be there.
func (c *checker) readAll(store *db.DB) map[string]string {
	all := make(map[string]string)
	c.readSpace(store.Default(), "", all)
	if side, err := c.side(store); err == nil {
		c.readSpace(side, sideName+"/", all)
	}
	if c.forged {
		return all
	}
	for key, allowed := range c.im.values {
		if got, known := all[key]; known && got != damaged && !slices.Contains(allowed, got) {
			c.t.Fatalf("%q is %.60q, and was only ever %.60q", key, got, allowed)
		}
	}
	for key := range all {
		if _, ok := c.im.values[key]; !ok && !strings.HasPrefix(key, "new/") {
			c.t.Fatalf("%q was never written", key)
		}
	}
	return all
}

func (c *checker) readSpace(ks *db.Keyspace, prefix string, all map[string]string) {
	var forward, backward []string
	scan := func(r db.Range, keys *[]string) (whole bool) {
		for item, err := range ks.Scan(r) {
			if c.fine("scan", err); err != nil {
				return false
			}
			key := string(item.Key())
			*keys = append(*keys, key)
			if r.IsKeysOnly() {
				continue
			}
			value, err := item.Value()
			if c.fine("value", err); err != nil {
				value = []byte(damaged)
			}
			all[prefix+key] = string(value)
			if len(*keys) > 100_000 {
				c.t.Fatal("a scan that does not end")
			}
		}
		return true
	}
	whole := scan(db.All(), &forward)
	if back := scan(db.All().Backward(), &backward); whole && back && !c.forged {
		if slices.Reverse(backward); !slices.Equal(forward, backward) {
			c.t.Fatalf("%q forward, and %q backward", forward, backward)
		}
	}
	scan(db.Prefix([]byte("a")).KeysOnly(), new([]string))
	for key := range c.im.values {
		key, ok := strings.CutPrefix(key, prefix)
		if !ok || prefix == "" && strings.HasPrefix(key, sideName+"/") {
			continue
		}
		value, err := ks.Get([]byte(key))
		got := string(value)
		switch {
		case errors.Is(err, db.ErrNotFound):
			got = missing
		case err != nil:
			c.fine("get", err)
			got = damaged
		}
		scanned := all[prefix+key]
		if whole && !c.forged && got != damaged && scanned != damaged && got != scanned {
			c.t.Fatalf("%q is %.60q, and %.60q in a scan", key, got, scanned)
		}
		if whole || got != missing {
			all[prefix+key] = got
		}
	}
}

// compare fails if what could be read is something else now. What a merge meets
// may be damaged for reads that had no need of it, and the other way round.
func (c *checker) compare(before, after map[string]string) {
	if c.forged {
		return
	}
	for _, key := range slices.Sorted(maps.Keys(before)) {
		a, b := before[key], after[key]
		if a != b && a != damaged && b != damaged {
			c.t.Fatalf("%q was %.60q and is %.60q", key, a, b)
		}
	}
}
