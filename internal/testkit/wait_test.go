package testkit

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func lock(mu sync.Locker, locked chan<- bool) {
	mu.Lock()
	defer mu.Unlock()
	locked <- true
}

func receive(from <-chan bool, done chan<- bool) { <-from; done <- true }

func TestACallThatWaitsIsSeenToWait(t *testing.T) {
	var mutex sync.Mutex
	var rw sync.RWMutex
	hold, done := make(chan bool), make(chan bool, 3)
	mutex.Lock()
	rw.RLock()
	if Blocked("testkit.lock(") || Blocked("testkit.receive(") {
		t.Error("nobody has called it")
	}
	go lock(&mutex, done)
	go lock(&rw, done)
	go receive(hold, done)
	for _, where := range [][]string{{"testkit.lock(", "sync.(*Mutex).Lock("}, {"testkit.lock(", "sync.(*RWMutex).Lock("}, {"testkit.receive("}} {
		Until(t, func() bool { return Blocked(where...) }, func() string { return where[0] })
	}
	if Blocked("TestACallThatWaitsIsSeenToWait") {
		t.Error("who runs, and who began a call, do not wait")
	}
	if Blocked("testkit.receive(", "testkit.lock(") {
		t.Error("nobody is inside both")
	}
	mutex.Unlock()
	rw.RUnlock()
	close(hold)
	for range 3 {
		<-done
	}
	Until(t, func() bool { return !Blocked("testkit.lock(") && !Blocked("testkit.receive(") }, func() string { return "they have returned" })
}

// failing is a test that Until fails.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Fatalf(string, ...any) { f.failed = true; panic("failed") }

func TestUntilGivesUpOnlyOnWhatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start, looks := time.Now(), 0
		Until(t, func() bool { looks++; return time.Since(start) >= HangsAfter-time.Second }, func() string { return "" })
		if looks < 2 {
			t.Errorf("%d looks", looks)
		}
		f := &failing{TB: t}
		defer func() {
			if recover() == nil || !f.failed {
				t.Error("it ended without a failure")
			}
		}()
		Until(f, func() bool { return false }, func() string { return "never" })
	})
}
