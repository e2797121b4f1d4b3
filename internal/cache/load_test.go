package cache

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// crowd starts n loads of one block, of which the first is inside load and the
// others wait, then lets it go on with what end does.
func crowd(t *testing.T, c *Cache, n int, fill bool, end func() (*Block, error)) (blocks []*Block, errs []error, loads int64) {
	var count atomic.Int64
	gate := make(chan struct{})
	blocks, errs = make([]*Block, n), make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					errs[i] = errors.New("own panic")
				}
			}()
			blocks[i], errs[i] = c.Load(1, 1, fill && i == n-1, func() (*Block, error) {
				count.Add(1)
				<-gate
				return end()
			})
		})
		if i == 0 {
			synctest.Wait()
		}
	}
	synctest.Wait()
	close(gate)
	wg.Wait()
	return blocks, errs, count.Load()
}

func TestConcurrentLoadsCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		blocks, errs, loads := crowd(t, c, 10, true, loader(1, 1, 100))
		if loads != 1 {
			t.Fatalf("%d loads", loads)
		}
		if got := blocks[0].refs.Load(); got != 10 {
			t.Fatalf("%d references, want one for each caller", got)
		}
		for i, b := range blocks {
			if errs[i] != nil || b != blocks[0] {
				t.Fatal(i, b, errs[i])
			}
			check(t, b, 1, 1)
			b.Release()
		}
		if blocks[0].refs.Load() != 0 {
			t.Fatal("references left")
		}
	})
}

func TestWaiterMayAskToKeepTheBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(1 << 20)
		defer c.Close()
		blocks, _, loads := crowd(t, c, 3, true, loader(1, 1, 100))
		for _, b := range blocks {
			b.Release()
		}
		settle(c)
		b := c.Get(1, 1)
		if b == nil || loads != 1 {
			t.Fatal("not kept", loads)
		}
		b.Release()
	})
}

func TestLoadErrorReachesAllWaitersAndIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(0)
		bad := errors.New("bad disk")
		blocks, errs, loads := crowd(t, c, 5, true, func() (*Block, error) { return nil, bad })
		for i := range blocks {
			if blocks[i] != nil || errs[i] != bad {
				t.Fatal(i, blocks[i], errs[i])
			}
		}
		b, err := c.Load(1, 1, true, loader(1, 1, 10))
		if err != nil || loads != 1 {
			t.Fatal(err, loads)
		}
		b.Release()
	})
}

func TestBlockReturnedWithAnErrorIsReleased(t *testing.T) {
	c := New(0)
	bad := errors.New("bad checksum")
	b := NewBlock(10)
	if got, err := c.Load(1, 1, true, func() (*Block, error) { return b, bad }); got != nil || err != bad {
		t.Fatal(got, err)
	}
	if b.refs.Load() != 0 {
		t.Fatal("leaked")
	}
}

func TestNeitherBlockNorErrorIsAnError(t *testing.T) {
	c := New(0)
	if _, err := c.Load(1, 1, true, func() (*Block, error) { return nil, nil }); !errors.Is(err, ErrNoBlock) {
		t.Fatal(err)
	}
}

func TestPanickingLoadDoesNotHoldTheWaiters(t *testing.T) {
	for name, end := range map[string]func() (*Block, error){
		"panic":  func() (*Block, error) { panic("boom") },
		"goexit": func() (*Block, error) { runtime.Goexit(); return nil, nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := New(0)
				_, errs, _ := crowd(t, c, 4, true, end)
				for i, err := range errs[1:] {
					if !errors.Is(err, ErrLoadPanicked) {
						t.Errorf("waiter %d: %v", i, err)
					}
				}
				if name == "panic" && (errs[0] == nil || errs[0].Error() != "own panic") {
					t.Errorf("the caller whose load panicked got %v", errs[0])
				}
				b, err := c.Load(1, 1, true, loader(1, 1, 10))
				if err != nil {
					t.Fatal(err)
				}
				b.Release()
			})
		})
	}
}
