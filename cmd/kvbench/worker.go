package main

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/cordwood-db/cordwood/db"
)

// points is what phases of single keys need of a store.
type points interface {
	Put(key, value []byte) error
	AppendGet(dst, key []byte) ([]byte, error)
}

// job is one phase at work. Immutable, but for the flags.
type job struct {
	points    points
	store     *db.DB // for scans and cursors
	model     *model
	threads   int
	writeRate int // of the writer beside readers, operations per second

	stopped atomic.Bool // end early: interrupted, out of time, or another worker failed
	ended   atomic.Bool // the phase's own workers are done: for a worker beside them
}

// worker is one goroutine of a job. Only done is read by others meanwhile.
type worker struct {
	*job
	index      int // below threads
	operations int // its share
	done       atomic.Uint64
	bytes      uint64 // of keys and values put or got
	latency    *hdrhistogram.Histogram
	random     *rand.Rand
	key, value []byte // reused
}

func newWorker(j *job, index, operations int, seed uint64) *worker {
	return &worker{
		job: j, index: index, operations: operations,
		latency: newHistogram(),
		random:  rand.New(rand.NewPCG(seed, mix(uint64(index)))),
	}
}

// share is what worker index of threads does of total: the first ones do one
// more where it does not divide.
func share(total, index, threads int) int { return (total + threads - 1 - index) / threads }

// record counts one operation.
func (w *worker) record(took time.Duration, bytes int) {
	w.recordMany(took, bytes, 1)
}

// recordMany counts n operations that took so long together.
func (w *worker) recordMany(took time.Duration, bytes, n int) {
	// The error says that the value is over latencyMax, which min rules out.
	_ = w.latency.RecordValues(int64(min(took, latencyMax))/int64(n), int64(n))
	w.bytes += uint64(bytes)
	w.done.Store(w.done.Load() + uint64(n))
}
