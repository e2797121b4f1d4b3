package commit

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func nothing([]*Request)             {}
func noError(group []*Request) error { return nil }

func BenchmarkLoneWriter(b *testing.B) {
	for name, sync := range map[string]bool{"nosync": false, "sync": true} {
		b.Run(name, func(b *testing.B) {
			p := New(Config{Write: noError, Sync: noError, Publish: nothing})
			r := &Request{Sync: sync}
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Commit(r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// work burns about d of processor time.
func work(d time.Duration) {
	for start := time.Now(); time.Since(start) < d; {
	}
}

// BenchmarkHammer: writers that do nothing but commit, with a Write of 2 us.
func BenchmarkHammer(b *testing.B) {
	for _, c := range []struct {
		name    string
		writers int
	}{{"1", 1}, {"2", 2}, {"8", 8}, {"64", 64}} {
		b.Run("writers="+c.name, func(b *testing.B) {
			var groups atomic.Int64
			p := New(Config{
				Write:   func(group []*Request) error { groups.Add(1); work(2 * time.Microsecond); return nil },
				Sync:    noError,
				Publish: nothing,
			})
			b.ReportAllocs()
			var wg sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			cpu := cpuTime()
			b.ResetTimer()
			for range c.writers {
				wg.Go(func() {
					r := new(Request)
					for left.Add(-1) >= 0 {
						if err := p.Commit(r); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/float64(groups.Load()), "commits/group")
			b.ReportMetric(float64((cpuTime()-cpu).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}

// BenchmarkSync: writers that want their commits synced, with a disk of 100 us.
func BenchmarkSync(b *testing.B) {
	for _, c := range []struct {
		name    string
		writers int
	}{{"1", 1}, {"2", 2}, {"8", 8}, {"64", 64}} {
		b.Run("writers="+c.name, func(b *testing.B) {
			var syncs atomic.Int64
			p := New(Config{
				Write:   noError,
				Sync:    func(batch []*Request) error { syncs.Add(1); time.Sleep(100 * time.Microsecond); return nil },
				Publish: nothing,
			})
			b.ReportAllocs()
			var wg sync.WaitGroup
			var left atomic.Int64
			left.Store(int64(b.N))
			for range c.writers {
				wg.Go(func() {
					r := &Request{Sync: true}
					for left.Add(-1) >= 0 {
						if err := p.Commit(r); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/float64(syncs.Load()), "commits/sync")
		})
	}
}
