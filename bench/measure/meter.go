package measure

import (
	"runtime"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// Meter measures what this process spends from StartMeter to Stop: the engine
// with its background work, the Go runtime, and the client. Where the operating
// system does not tell, a cost stays zero.
//
// Written bytes are those of page-cache pages that the process made dirty, whether
// by a system call or through a memory map, and of direct writes; in whole pages,
// so that a byte changed in a map costs 4 KiB, as it does on its way to the
// storage. A page that is changed again before the kernel has written it counts
// once, one that is changed after that again. Pages that were given up while still
// dirty, of files that were deleted or truncated, never reach the storage: they
// are taken off when that happens, even if they were written in an earlier phase,
// down to zero. What the file system itself writes (journal, metadata) is not in
// it. Read bytes are those that had to come from the storage, read-ahead and page
// faults of maps included. Both are zero on file systems in memory. The bytes of
// read and write calls are those that passed through system calls, files or not.
//
// Peak memory is what was resident at most: pages of mapped files count as far as
// they are in memory, be they the engine's or the page cache's. Where the peak
// cannot be reset (other than Linux) it is that of the process since it began.
type Meter struct {
	cpu   time.Duration
	heap  runtime.MemStats
	bytes ioBytes
}

// ioBytes is what a process has read and written since it began.
type ioBytes struct {
	read, written, cancelled int64 // of the storage; cancelled: of written, given up
	readCalls, writeCalls    int64
}

// StartMeter begins to measure. Peak memory is reset for the whole process: of
// several meters, the one started last measures it.
func StartMeter() *Meter {
	m := &Meter{}
	resetPeak()
	runtime.ReadMemStats(&m.heap)
	m.bytes = readIO()
	m.cpu = cpuTime()
	return m
}

// Stop returns what was spent so far; the costs that a Meter knows nothing of are
// zero. It may be called again later, for the costs until then.
func (m *Meter) Stop() result.Costs {
	cpu, bytes, peak := cpuTime()-m.cpu, readIO(), peakBytes()
	var heap runtime.MemStats
	runtime.ReadMemStats(&heap)
	written := bytes.written - bytes.cancelled - (m.bytes.written - m.bytes.cancelled)
	return result.Costs{
		CPUNS:          int64(cpu),
		Allocations:    heap.Mallocs - m.heap.Mallocs,
		AllocatedBytes: heap.TotalAlloc - m.heap.TotalAlloc,
		PeakBytes:      peak,
		WrittenBytes:   max(written, 0),
		ReadBytes:      bytes.read - m.bytes.read,
		WriteCalls:     bytes.writeCalls - m.bytes.writeCalls,
		ReadCalls:      bytes.readCalls - m.bytes.readCalls,
	}
}
