package db

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/vfs"
)

// benchTxStore is a store of small values, all in memory, that is left alone by
// background work as far as possible.
func benchTxStore(b *testing.B) (*DB, [][]byte) {
	store, err := Open("/db", &Options{FS: vfs.NewMem(), MemtableBytes: 64 << 20, SyncInterval: -1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := store.Close(); err != nil {
			b.Error(err)
		}
	})
	keys := make([][]byte, 10_000)
	for i := range keys {
		keys[i] = fmt.Appendf(nil, "key%08d", i)
		if err := store.Put(keys[i], make([]byte, 100)); err != nil {
			b.Fatal(err)
		}
	}
	return store, keys
}

func BenchmarkTx(b *testing.B) {
	ctx := context.Background()
	value := make([]byte, 100)
	var dst []byte
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	run := func(name string, fn func(store *DB, keys [][]byte, i int) error) {
		b.Run(name, func(b *testing.B) {
			store, keys := benchTxStore(b)
			b.ReportAllocs()
			i, before := 0, cpuTime()
			for b.Loop() {
				i++
				check(fn(store, keys, i*7919))
			}
			b.ReportMetric(float64((cpuTime()-before).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
	rw := func(keys [][]byte, i, n int) func(tx *Tx) error {
		return func(tx *Tx) (err error) {
			for j := range n {
				if dst, err = tx.AppendGet(dst[:0], keys[(i+j)%len(keys)]); err != nil {
					return err
				}
			}
			for j := range max(n/10, 1) {
				if err := tx.Put(keys[(i+j)%len(keys)], value); err != nil {
					return err
				}
			}
			return nil
		}
	}
	run("plain-1r1w", func(store *DB, keys [][]byte, i int) (err error) {
		if dst, err = store.AppendGet(dst[:0], keys[i%len(keys)]); err != nil {
			return err
		}
		var batch Batch
		check(batch.Put(keys[i%len(keys)], value))
		return store.Apply(&batch, NoSync)
	})
	run("update-1r1w", func(store *DB, keys [][]byte, i int) error { return store.Update(ctx, rw(keys, i, 1)) })
	run("update-snapshot-1r1w", func(store *DB, keys [][]byte, i int) error {
		return store.UpdateWith(ctx, TxOptions{Isolation: SnapshotIsolation}, rw(keys, i, 1))
	})
	run("begin-commit-1r1w", func(store *DB, keys [][]byte, i int) error {
		tx, err := store.Begin(TxOptions{})
		check(err)
		check(rw(keys, i, 1)(tx))
		return tx.Commit()
	})
	run("view-1r", func(store *DB, keys [][]byte, i int) error {
		return store.View(func(tx *Tx) (err error) {
			dst, err = tx.AppendGet(dst[:0], keys[i%len(keys)])
			return err
		})
	})
	run("plain-100r10w", func(store *DB, keys [][]byte, i int) (err error) {
		for j := range 100 {
			if dst, err = store.AppendGet(dst[:0], keys[(i+j)%len(keys)]); err != nil {
				return err
			}
		}
		var batch Batch
		for j := range 10 {
			check(batch.Put(keys[(i+j)%len(keys)], value))
		}
		return store.Apply(&batch, NoSync)
	})
	run("update-100r10w", func(store *DB, keys [][]byte, i int) error { return store.Update(ctx, rw(keys, i, 100)) })
}

// BenchmarkTxContention: two goroutines that increment one of n counters.
func BenchmarkTxContention(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			store, keys := benchTxStore(b)
			tries := make([]int, 2)
			var wg sync.WaitGroup
			start := time.Now()
			for g := range 2 {
				wg.Go(func() {
					for i := range b.N/2 + 1 {
						key := keys[(i*7919+g)%n]
						err := store.UpdateWith(context.Background(), TxOptions{TriesMax: 1 << 30}, func(tx *Tx) error {
							tries[g]++
							v, err := tx.Get(key)
							if err != nil {
								return err
							}
							return tx.Put(key, v)
						})
						if err != nil {
							panic(err)
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(time.Since(start).Nanoseconds())/float64(b.N), "ns/op")
			b.ReportMetric(float64(tries[0]+tries[1])/float64(b.N+2), "tries/op")
		})
	}
}

// BenchmarkOwnReads is what a read of an own write costs, through the batch or
// the index.
func BenchmarkOwnReads(b *testing.B) {
	store, keys := benchTxStore(b)
	for _, n := range []int{1, 4, 8, 16, 17, 32, 1000} {
		b.Run(fmt.Sprintf("writes=%d", n), func(b *testing.B) {
			tx, err := store.Begin(TxOptions{})
			if err != nil {
				b.Fatal(err)
			}
			defer tx.Discard()
			for _, k := range keys[:n] {
				if err := tx.Put(k, k); err != nil {
					b.Fatal(err)
				}
			}
			var dst []byte
			i := 0
			for b.Loop() {
				i++
				if dst, err = tx.AppendGet(dst[:0], keys[i%n]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
