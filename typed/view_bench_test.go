package typed

import (
	"encoding/binary"
	"testing"

	"github.com/cordwood-db/cordwood/db"
)

// What types cost: raw is the keyspace itself, with the same bytes.
func BenchmarkGet(b *testing.B) {
	store := openStore(b, db.Options{})
	ks := keyspace(b, store, "x")
	v := New(store, ks, Uint64{}, Bytes{})
	const n = 10_000
	for i := range uint64(n) {
		check(b, v.Put(i, make([]byte, 100)))
	}
	p := openPeople(b, store)
	for i := range uint64(n) {
		check(b, p.Put(i, person{Email: string(binary.BigEndian.AppendUint64(nil, i&0x7f)) + string(rune(i))}))
	}
	b.Run("raw", func(b *testing.B) {
		b.ReportAllocs()
		var key [8]byte
		for i := uint64(0); b.Loop(); i++ {
			binary.BigEndian.PutUint64(key[:], i%n)
			if _, err := ks.Get(key[:]); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("view", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			if _, err := v.Get(i % n); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("JSON", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			if _, err := p.Get(i % n); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("index", func(b *testing.B) {
		b.ReportAllocs()
		who, err := p.Get(7)
		check(b, err)
		for b.Loop() {
			if _, _, err := p.byEmail.Get(who.Email); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkPut(b *testing.B) {
	store := openStore(b, db.Options{})
	ks := keyspace(b, store, "x")
	v := New(store, ks, Uint64{}, Bytes{})
	indexed := New(store, keyspace(b, store, "y"), Uint64{}, Bytes{})
	_, err := AddIndex(indexed, "first", Bytes{}, func(b []byte) [][]byte { return [][]byte{b[:8]} }, IndexOptions{})
	check(b, err)
	value := make([]byte, 100)
	const n = 10_000
	b.Run("raw", func(b *testing.B) {
		b.ReportAllocs()
		var key [8]byte
		for i := uint64(0); b.Loop(); i++ {
			binary.BigEndian.PutUint64(key[:], i%n)
			check(b, ks.Put(key[:], value))
		}
	})
	b.Run("view", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			check(b, v.Put(i%n, value))
		}
	})
	b.Run("transaction", func(b *testing.B) { // what an index cannot do without
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			check(b, store.Update(b.Context(), func(tx *db.Tx) error {
				in := v.In(tx)
				if _, err := in.Get(i % n); err != nil {
					return err
				}
				return in.Put(i%n, value)
			}))
		}
	})
	b.Run("indexed", func(b *testing.B) {
		b.ReportAllocs()
		for i := uint64(0); b.Loop(); i++ {
			binary.BigEndian.PutUint64(value, i)
			check(b, indexed.Put(i%n, value))
		}
	})
}
