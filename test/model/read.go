package model

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/db"
)

func (r *run) get() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	return r.getFrom(r.reader(s), r.want.of(s))
}

// getFrom reads a key in one of the ways to do that.
func (r *run) getFrom(from db.Reader, want state) error {
	key := r.key()
	value, ok := want.get(string(key), r.now)
	how := r.draw.IntN(5)
	r.note("get %q, way %d: %s, %v", key, how, brief(value), ok)
	switch how {
	case 1:
		has, err := from.Has(key)
		if err != nil || has != ok {
			return fmt.Errorf("Has(%q) = %v, %v; want %v", key, has, err, ok)
		}
		return nil
	case 2:
		got, err := from.AppendGet([]byte("<"), key)
		if len(got) == 0 || got[0] != '<' {
			return fmt.Errorf("AppendGet(%q) = %s, %v: what was there is gone", key, brief(got), err)
		}
		if errors.Is(err, db.ErrNotFound) && len(got) > 1 {
			return fmt.Errorf("AppendGet(%q) = %s, %v", key, brief(got), err)
		}
		return same(key, got[1:], err, value, ok)
	case 3:
		values, err := from.MultiGet(key, key)
		if err == nil && (len(values) != 2 || !equal(values[0], values[1])) {
			return fmt.Errorf("MultiGet(%q) twice = %q", key, values)
		}
		if err == nil && values[0] == nil {
			err = db.ErrNotFound
			values[0] = nil
		}
		if err != nil && !errors.Is(err, db.ErrNotFound) {
			return err
		}
		return same(key, values[0], err, value, ok)
	}
	got, err := from.Get(key)
	if e, _ := want.find(string(key)); ok && err == nil && e.op != nil && e.op.Name() == db.Union().Name() {
		members, err := db.UnionMembers(got)
		if err != nil || !bytes.Equal(db.UnionBytes(members...), got) {
			return fmt.Errorf("%q is no set: %q, %v", key, members, err)
		}
	}
	return same(key, got, err, value, ok)
}

func (r *run) multiGet() error {
	s, err := r.space()
	if err != nil {
		return err
	}
	keys := make([][]byte, r.draw.IntN(10))
	for i := range keys {
		keys[i] = r.key()
	}
	r.note("multiget of %d", len(keys))
	values, err := r.reader(s).MultiGet(keys...)
	if err != nil {
		return err
	}
	for i, key := range keys {
		want, ok := r.want.of(s).get(string(key), r.now)
		if (values[i] != nil) != ok || !bytes.Equal(values[i], want) {
			return fmt.Errorf("MultiGet: %q = %s; want %s, %v", key, brief(values[i]), brief(want), ok)
		}
	}
	return nil
}

// same compares what a read gave with what it should have given.
func same(key, got []byte, err error, want []byte, ok bool) error {
	switch {
	case !ok && errors.Is(err, db.ErrNotFound):
		return nil
	case ok && err == nil && got != nil && bytes.Equal(got, want):
		return nil
	}
	return fmt.Errorf("read of %q = %s, %v; want %s, %v", key, brief(got), err, brief(want), ok)
}

func brief(b []byte) string {
	if len(b) <= 40 {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q... (%d bytes)", b[:40], len(b))
}
