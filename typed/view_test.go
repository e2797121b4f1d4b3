package typed

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

// openStore opens a store in memory, closed with the test.
func openStore(t testing.TB, o db.Options) *db.DB {
	t.Helper()
	if o.FS == nil {
		o.FS = vfs.NewMem()
	}
	store, err := db.Open("store", &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

// keyspace opens a keyspace of store.
func keyspace(t testing.TB, store *db.DB, name string) *db.Keyspace {
	t.Helper()
	ks, err := store.Keyspace(name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ks
}

// collect is what a loop yields, and its error.
func collect[T any](seq iter.Seq2[T, error]) (all []T, err error) {
	for item, err := range seq {
		if err != nil {
			return all, err
		}
		all = append(all, item)
	}
	return all, nil
}

// keysOf are the keys of a range of a view.
func keysOf[K, V any](t testing.TB, v *View[K, V], r Range[K]) []K {
	t.Helper()
	keys, err := collect(v.Keys(r))
	if err != nil {
		t.Fatal(err)
	}
	items, err := collect(v.Scan(r))
	if err != nil {
		t.Fatal(err)
	}
	if len(items) != len(keys) {
		t.Fatalf("Scan yields %d items, Keys %d", len(items), len(keys))
	}
	return keys
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestViewReadsWhatItWrote(t *testing.T) {
	store := openStore(t, db.Options{})
	ks := keyspace(t, store, "profiles")
	v := New(store, ks, Uint64{}, JSON[profile]{})
	check(t, v.Put(7, profile{"Ada", 36}))
	check(t, v.PutTTL(8, profile{"Bob", 1}, time.Hour))

	if got, err := v.Get(7); err != nil || got != (profile{"Ada", 36}) {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := v.Get(9); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("a missing key: %v", err)
	}
	for key, want := range map[uint64]bool{7: true, 9: false} {
		if has, err := v.Has(key); err != nil || has != want {
			t.Errorf("Has(%d): %v, %v", key, has, err)
		}
	}
	if b, err := ks.Get([]byte{0, 0, 0, 0, 0, 0, 0, 7}); err != nil || string(b) != `{"name":"Ada","age":36}` {
		t.Errorf("stored %q, %v", b, err)
	}
	items, err := collect(v.Scan(All[uint64]()))
	if err != nil || len(items) != 2 || items[0].Key != 7 || items[0].Value.Name != "Ada" || !items[0].ExpiresAt.IsZero() {
		t.Fatalf("%v, %v", items, err)
	}
	if left := time.Until(items[1].ExpiresAt); left < 59*time.Minute || left > time.Hour {
		t.Errorf("expires in %v", left)
	}
	check(t, v.Delete(7))
	check(t, v.Delete(7))
	if has, err := v.Has(7); err != nil || has {
		t.Errorf("deleted key: %v, %v", has, err)
	}
	if err := v.PutTTL(1, profile{}, -1); !errors.Is(err, db.ErrInvalidTTL) {
		t.Errorf("a negative time to live: %v", err)
	}
}

func TestRangesOfAView(t *testing.T) {
	store := openStore(t, db.Options{})
	numbers := New(store, keyspace(t, store, "numbers"), Int64{}, Bytes{})
	for _, n := range []int64{5, -3, 0, 9, -7} {
		check(t, numbers.Put(n, nil))
	}
	for i, c := range []struct {
		r    Range[int64]
		want []int64
	}{
		{All[int64](), []int64{-7, -3, 0, 5, 9}},
		{Range[int64]{}, []int64{-7, -3, 0, 5, 9}},
		{All[int64]().Backward(), []int64{9, 5, 0, -3, -7}},
		{From[int64](0), []int64{0, 5, 9}},
		{Until[int64](0), []int64{-7, -3}},
		{Between[int64](-3, 9), []int64{-3, 0, 5}},
		{Between[int64](-3, 9).Backward(), []int64{5, 0, -3}},
		{Between[int64](9, -3), nil},
		{Only[int64](5), []int64{5}},
		{Prefix[int64](5), []int64{5}},
		{Only[int64](6), nil},
	} {
		if got := keysOf(t, numbers, c.r); !slices.Equal(got, c.want) {
			t.Errorf("range %d: %v, want %v", i, got, c.want)
		}
	}
	words := New(store, keyspace(t, store, "words"), String{}, Bytes{})
	for _, w := range []string{"", "a", "a\x00", "ab", "b", "\xff", "\xff\xff"} {
		check(t, words.Put(w, nil))
	}
	for i, c := range []struct {
		r    Range[string]
		want []string
	}{
		{Only(""), []string{""}},
		{Only("a"), []string{"a"}},
		{Until(""), nil},
		{Between("", ""), nil},
		{Between("", "a"), []string{""}},
		{Prefix("a"), []string{"a", "a\x00", "ab"}},
		{Prefix("\xff"), []string{"\xff", "\xff\xff"}},
		{Prefix(""), []string{"", "a", "a\x00", "ab", "b", "\xff", "\xff\xff"}},
		{From("b").Backward(), []string{"\xff\xff", "\xff", "b"}},
	} {
		if got := keysOf(t, words, c.r); !slices.Equal(got, c.want) {
			t.Errorf("range %d: %q, want %q", i, got, c.want)
		}
	}
}

func TestRangesOfTuples(t *testing.T) {
	store := openStore(t, db.Options{})
	codec := NewTuple3(String{}, Int64{}, Bool{})
	v := New(store, keyspace(t, store, "tuples"), codec, Bytes{})
	type key = Tuple3[string, int64, bool]
	all := []key{{"a", -1, true}, {"a", 2, false}, {"a", 2, true}, {"a\x00", 0, false}, {"b", 0, true}}
	for _, k := range all {
		check(t, v.Put(k, nil))
	}
	if got := keysOf(t, v, codec.Prefix("a")); !slices.Equal(got, all[:3]) {
		t.Errorf("first element: %v", got)
	}
	if got := keysOf(t, v, codec.Prefix2("a", 2).Backward()); !slices.Equal(got, []key{all[2], all[1]}) {
		t.Errorf("two elements: %v", got)
	}
	if got := keysOf(t, v, Between(all[1], all[4])); !slices.Equal(got, all[1:4]) {
		t.Errorf("between: %v", got)
	}
	dynamic := New(store, keyspace(t, store, "tuples"), Tuples{}, Bytes{})
	if got := keysOf(t, dynamic, Prefix(Tuple{"a", 2})); len(got) != 2 || compareTuples(t, got[0], Tuple{"a", int64(2), false}) != 0 {
		t.Errorf("dynamic: %v", got)
	}
	pair := NewTuple2(String{}, String{})
	pairs := New(store, keyspace(t, store, "pairs"), pair, Bytes{})
	check(t, pairs.Put(Tuple2[string, string]{"a", "b"}, nil))
	check(t, pairs.Put(Tuple2[string, string]{"ab", ""}, nil))
	if got := keysOf(t, pairs, pair.Prefix("a")); len(got) != 1 || got[0].B != "b" {
		t.Errorf("pairs: %v", got)
	}
}

// refusing fails for one value each.
type refusing struct{ String }

var errRefused = errors.New("refused")

func (refusing) Append(dst []byte, v string) ([]byte, error) {
	if v == "no" {
		return nil, errRefused
	}
	return String{}.Append(dst, v)
}

func (refusing) Decode(b []byte) (string, error) {
	if string(b) == "bad" {
		return "", errRefused
	}
	return string(b), nil
}

func TestErrorsOfCodecsComeOut(t *testing.T) {
	store := openStore(t, db.Options{})
	ks := keyspace(t, store, "x")
	v := New(store, ks, refusing{}, refusing{})
	_, err := v.Get("no")
	_, err2 := v.Has("no")
	_, err3 := collect(v.Scan(Only("no")))
	_, err4 := collect(v.Keys(Between("a", "no")))
	for i, err := range []error{err, err2, err3, err4, v.Put("no", ""), v.Put("a", "no"), v.Delete("no")} {
		if !errors.Is(err, errRefused) {
			t.Errorf("encoding, %d: %v", i, err)
		}
	}
	if _, err := ks.Get([]byte("a")); !errors.Is(err, db.ErrNotFound) {
		t.Errorf("something was written: %v", err)
	}
	check(t, v.Put("a", ""))
	check(t, v.Put("b", "bad"))
	check(t, v.Put("c", ""))
	if items, err := collect(v.Scan(All[string]())); len(items) != 1 || !errors.Is(err, errRefused) {
		t.Errorf("%v, %v", items, err)
	}
	_, err = v.Get("b")
	if d, ok := errors.AsType[*DecodeError](err); !ok || d.Keyspace != "x" || string(d.Key) != "b" || d.Part != "value" {
		t.Errorf("%v", err)
	}
	check(t, v.Put("bad", ""))
	if keys, err := collect(v.Keys(From("b"))); len(keys) != 1 || !errors.Is(err, errRefused) {
		t.Errorf("%v, %v", keys, err)
	}
	for _, err := range v.Scan(Only("bad")) {
		if d, ok := errors.AsType[*DecodeError](err); !ok || d.Part != "key" {
			t.Errorf("%v", err)
		}
	}
}

func TestLoopsMayStopAnywhere(t *testing.T) {
	store := openStore(t, db.Options{})
	v := New(store, keyspace(t, store, "x"), Uint64{}, Uint64{})
	for n := range uint64(10) {
		check(t, v.Put(n, n))
	}
	n := 0
	for range v.Scan(All[uint64]()) {
		if n++; n == 3 {
			break
		}
	}
	for range v.Keys(All[uint64]()) {
		if n++; n == 6 {
			break
		}
	}
	if n != 6 {
		t.Errorf("%d steps", n)
	}
}

func TestValuesOfAScanMayBeKept(t *testing.T) {
	store := openStore(t, db.Options{})
	v := New(store, keyspace(t, store, "x"), Bytes{}, Bytes{})
	for n := range 100 {
		check(t, v.Put(fmt.Appendf(nil, "k%02d", n), fmt.Appendf(nil, "v%02d", n)))
	}
	items, err := collect(v.Scan(All[[]byte]()))
	check(t, err)
	for n, item := range items {
		if string(item.Key) != fmt.Sprintf("k%02d", n) || string(item.Value) != fmt.Sprintf("v%02d", n) {
			t.Fatalf("item %d became %s, %s", n, item.Key, item.Value)
		}
	}
	got, err := v.Get([]byte("k00"))
	check(t, err)
	if _, err := v.Get([]byte("k01")); err != nil || !bytes.Equal(got, []byte("v00")) {
		t.Errorf("%s, %v", got, err)
	}
}

func TestViewInATransaction(t *testing.T) {
	store := openStore(t, db.Options{})
	v := New(store, keyspace(t, store, "x"), String{}, Uint64{})
	check(t, v.Put("old", 1))
	undone := errors.New("undone")
	for _, end := range []error{undone, nil} {
		err := store.Update(context.Background(), func(tx *db.Tx) error {
			in := v.In(tx)
			check(t, in.Put("new", 2))
			check(t, in.Delete("old"))
			if got := keysOf(t, in, All[string]()); !slices.Equal(got, []string{"new"}) {
				t.Errorf("inside: %v", got)
			}
			if n, err := in.Get("new"); err != nil || n != 2 {
				t.Errorf("inside: %d, %v", n, err)
			}
			return end
		})
		want := []string{"new"}
		if end != nil {
			want = []string{"old"}
		}
		if got := keysOf(t, v, All[string]()); !errors.Is(err, end) || !slices.Equal(got, want) {
			t.Errorf("after %v: %v, %v", end, got, err)
		}
	}
}

func TestViewOfASnapshot(t *testing.T) {
	store := openStore(t, db.Options{})
	v := New(store, keyspace(t, store, "x"), String{}, Uint64{})
	byValue, err := AddIndex(v, "value", Uint64{}, func(n uint64) []uint64 { return []uint64{n} }, IndexOptions{})
	check(t, err)
	check(t, v.Put("a", 1))
	snap, err := store.Snapshot()
	check(t, err)
	defer snap.Close()
	at := v.At(snap)
	if n, err := at.Get("a"); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	check(t, v.Put("a", 2))
	check(t, v.Put("b", 1))
	if n, err := at.Get("a"); err != nil || n != 1 {
		t.Errorf("%d, %v", n, err)
	}
	if got := keysOf(t, at, All[string]()); !slices.Equal(got, []string{"a"}) {
		t.Errorf("%v", got)
	}
	if key, value, err := byValue.At(snap).Get(1); err != nil || key != "a" || value != 1 {
		t.Errorf("%v, %v, %v", key, value, err)
	}
	if key, value, err := byValue.Get(1); err != nil || key != "b" {
		t.Errorf("%v, %v, %v", key, value, err)
	}
	plain := New(store, keyspace(t, store, "y"), String{}, Uint64{}).At(snap)
	for i, err := range []error{at.Put("a", 1), at.Delete("a"), at.PutTTL("a", 1, time.Hour), plain.Put("a", 1), plain.Delete("a")} {
		if !errors.Is(err, ErrReadOnlyView) {
			t.Errorf("write %d: %v", i, err)
		}
	}
}
