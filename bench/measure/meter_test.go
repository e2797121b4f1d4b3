package measure

import (
	"runtime"
	"testing"
	"time"
)

var kept [][]byte

func TestTheMeterCountsProcessorTimeAndAllocations(t *testing.T) {
	if cpuTime() == 0 {
		t.Skip("processor time is not known here")
	}
	m := StartMeter()
	const objects, each = 1000, 4096
	kept = nil
	for range objects {
		kept = append(kept, make([]byte, each))
	}
	for start := cpuTime(); cpuTime()-start < 20*ms; {
		speedSum.Add(xorshift(speedSum.Load()))
	}
	c := m.Stop()
	if c.CPUNS < int64(20*ms) || c.Allocations < objects || c.AllocatedBytes < objects*each {
		t.Errorf("%+v", c)
	}
	// Other goroutines of the test allocate hardly anything.
	if c.Allocations > 100*objects || c.AllocatedBytes > 100*objects*each || c.CPUNS > int64(time.Hour) {
		t.Errorf("far too much: %+v", c)
	}
	if later := m.Stop(); later.CPUNS < c.CPUNS || later.Allocations < c.Allocations {
		t.Errorf("less later: %+v, %+v", c, later)
	}
	if second := StartMeter().Stop(); second.AllocatedBytes >= c.AllocatedBytes || second.Allocations >= c.Allocations {
		t.Errorf("a second meter goes on where the first was: %+v", second)
	}
	runtime.KeepAlive(kept)
	kept = nil
}
