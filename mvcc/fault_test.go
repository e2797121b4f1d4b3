package mvcc

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// TestAFailedReadIsNeverAnEndOrAnAbsence: the n-th read of a file fails, for
// every n.
func TestAFailedReadIsNeverAnEndOrAnAbsence(t *testing.T) {
	fs := vfs.NewMem()
	store := openStore(t, fs)
	s := openSpace(t, store)
	var want []string
	for ts := Timestamp(1); ts <= 12; ts++ {
		b := s.NewBatch()
		for i := range 20 {
			must(t, b.Put(fmt.Appendf(nil, "k%02d", i), []byte(strings.Repeat("v", 40*(i%3)))))
		}
		must(t, b.Commit(ts, db.NoSync))
		if ts%4 == 0 {
			must(t, store.Flush(ctx))
		}
	}
	for i := range 20 {
		want = append(want, fmt.Sprintf("k%02d=%s@%d", i, strings.Repeat("v", 40*(i%3)), 6))
	}
	must(t, store.Close())
	broken := errors.New("broken")
	for name, read := range map[string]func(*View) (string, error){
		"forward":  func(v *View) (string, error) { return tryScan(v, db.All()) },
		"backward": func(v *View) (string, error) { return tryScan(v, db.All().Backward()) },
		"get":      func(v *View) (string, error) { return tryGets(v, false) },
		"multiget": func(v *View) (string, error) { return tryGets(v, true) },
		"versions": func(v *View) (string, error) {
			n := 0
			for _, err := range v.Versions([]byte("k07")) {
				if err != nil {
					return "", err
				}
				n++
			}
			return fmt.Sprint(n), nil
		},
	} {
		whole := strings.Join(want, " ")
		failures := 0
		for n := int64(1); ; n++ {
			store := openStore(t, fs)
			v := at(t, openSpace(t, store), 6)
			var left atomic.Int64
			left.Store(n)
			fs.SetHook(func(op vfs.Op) error {
				if op.Kind == vfs.OpRead && left.Add(-1) == 0 {
					return broken
				}
				return nil
			})
			got, err := read(v)
			fired := left.Load() <= 0
			fs.SetHook(nil)
			must(t, v.Close(), store.Close())
			switch {
			case err != nil && !errors.Is(err, broken):
				t.Fatalf("%s, read %d: %v", name, n, err)
			case err != nil:
				failures++
			case name == "versions" && got != "6", name == "backward" && len(got) != len(whole),
				name != "versions" && name != "backward" && got != whole:
				t.Fatalf("%s, read %d fails: got %q", name, n, got)
			}
			if !fired {
				break
			}
		}
		if failures == 0 {
			t.Errorf("%s: no read failed", name)
		}
	}
}

func tryScan(v *View, r db.Range) (string, error) {
	var all []string
	for item, err := range v.Scan(r) {
		if err != nil {
			return "", err
		}
		value, err := item.Value()
		if err != nil {
			return "", err
		}
		all = append(all, fmt.Sprintf("%s=%s@%d", item.Key(), value, item.Version()))
	}
	return strings.Join(all, " "), nil
}

func tryGets(v *View, together bool) (string, error) {
	keys := make([][]byte, 20)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "k%02d", i)
	}
	values := make([][]byte, len(keys))
	var err error
	if together {
		values, err = v.MultiGet(keys...)
	}
	var all []string
	for i, key := range keys {
		if !together && err == nil {
			values[i], err = v.Get(key)
		}
		if err != nil {
			return "", err
		}
		all = append(all, fmt.Sprintf("%s=%s@6", key, values[i]))
	}
	return strings.Join(all, " "), nil
}

func TestARemovalThatFailsIsTriedAgain(t *testing.T) {
	fs := vfs.NewMem()
	store := openStore(t, fs)
	s := openSpace(t, store)
	commit(t, s, 5, "a=1", "b=1")
	commit(t, s, 6, "-a", "-b")
	must(t, s.SetDiscard(9), store.Flush(ctx))
	if n := len(s.dead.prefixes); n != 2 {
		t.Fatalf("%d keys are noted", n)
	}
	full := func(op vfs.Op) error {
		if op.Kind == vfs.OpRead {
			return errors.New("broken")
		}
		return nil
	}
	fs.SetHook(full)
	err := s.SetDiscard(9)
	fs.SetHook(nil)
	if err == nil || len(s.dead.prefixes) != 2 {
		t.Errorf("%v, %d keys are noted", err, len(s.dead.prefixes))
	}
	must(t, s.SetDiscard(9))
	if n := entries(t, s); n != 0 || len(s.dead.prefixes) != 0 {
		t.Errorf("%d entries are left, %d keys noted", n, len(s.dead.prefixes))
	}
	must(t, store.Close())
}
