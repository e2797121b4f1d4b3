package trace

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	mathrand "math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Options are the settings of a recording. The zero value is good.
type Options struct {
	// HashKeys stores a keyed hash of each key, as long as the key. It keeps
	// nothing of the order of keys: see the package comment.
	HashKeys bool
	// Secret is the key of the hash, to give keys the same hash in several
	// traces. nil: a random one that nobody gets to know.
	Secret *[16]byte
	// Overwrite replaces a file that is there. Otherwise it is an error.
	Overwrite bool
	// BufferBytes bounds the operations that wait to be written. When they fill
	// it, more are counted but not recorded. Default: 16 MiB.
	BufferBytes int
}

const (
	bufferBytesDefault = 16 << 20
	bufferBytesMin     = 64 << 10
	shardsMax          = 16
	collectEvery       = 100 * time.Millisecond
	flushEvery         = time.Second
	// shardBytesMin is the least that a shard holds, so that large records fit.
	shardBytesMin = 2 << 20
)

// Recorder takes the operations of one store's wrapper to a file. It never makes
// an operation fail or wait for the disk: what does not fit its buffer, or comes
// after a failure to write, is counted and not recorded. All methods may be
// called from any number of goroutines.
type Recorder struct {
	began  time.Time
	hashed bool
	shards []shard
	wake   chan struct{}

	stopped atomic.Bool   // nothing is recorded any more
	late    atomic.Uint64 // operations since
	clients atomic.Uint32
	err     atomic.Pointer[error]

	spaces struct {
		mu    sync.Mutex
		named map[string]uint32
		added []Op // to be announced
	}

	ending   sync.Once
	end      chan struct{}
	ended    chan struct{}
	closeErr error // valid when ended is closed

	// The goroutine's own; atomic where others read it.
	w        *writer
	recorded atomic.Uint64
	lost     atomic.Uint64
	flushed  time.Duration
	runs     []run
}

// shard is a part of the buffer. Which one takes an operation is up to chance.
type shard struct {
	mu    sync.Mutex
	buf   []byte // of fixed capacity
	spare []byte // to be changed for buf
	lost  uint64
	_     [64]byte // apart from the next one in the processor's caches
}

// Create begins a recording to a new file. Close ends it.
func Create(path string, o Options) (*Recorder, error) {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if o.Overwrite {
		flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	r, err := newRecorder(f, o)
	if err != nil {
		return nil, errors.Join(err, f.Close(), os.Remove(path))
	}
	return r, nil
}

// newRecorder records to an empty file, which it closes unless it fails.
func newRecorder(f file, o Options) (*Recorder, error) {
	var random [24]byte
	rand.Read(random[:])
	h := header{hashed: o.HashKeys, id: binary.LittleEndian.Uint64(random[:]), started: time.Now(), tick: tickDefault}
	key := [16]byte(random[8:])
	if o.Secret != nil {
		key = *o.Secret
	}
	w, err := newWriter(f, h, newSecret(key))
	if err != nil {
		return nil, err
	}
	total := o.BufferBytes
	if total <= 0 {
		total = bufferBytesDefault
	}
	total = max(total, bufferBytesMin)
	shards := min(runtime.GOMAXPROCS(0), shardsMax, max(1, total/2/shardBytesMin))
	shards = 1 << (bits.Len(uint(shards)) - 1)
	r := &Recorder{began: h.started, hashed: o.HashKeys, shards: make([]shard, shards), wake: make(chan struct{}, 1),
		end: make(chan struct{}), ended: make(chan struct{}), w: w, runs: make([]run, shards)}
	for i := range r.shards {
		r.shards[i].buf = make([]byte, 0, total/2/shards)
		r.shards[i].spare = make([]byte, 0, total/2/shards)
	}
	r.spaces.named = map[string]uint32{"": 0}
	go r.work()
	return r, nil
}

// now is the time since the recording began.
func (r *Recorder) now() time.Duration { return time.Since(r.began) }

// record takes an operation that ends now. items are n encoded items of a batch
// or transaction; for a MultiGet they are taken from op.Items.
func (r *Recorder) record(op *Op, items []byte, n int) {
	if r.stopped.Load() {
		r.late.Add(1)
		return
	}
	need := 128 + len(op.Key) + len(op.Range.Lower) + len(op.Range.Upper) + len(items)
	for i := range op.Items {
		need += 32 + len(op.Items[i].Key)
	}
	s := r.lock()
	if need > cap(s.buf)-len(s.buf) {
		s.lost++
		s.mu.Unlock()
		r.rouse()
		return
	}
	op.Took = r.now() - op.Start
	e := encoder{buf: s.buf, tick: 1}
	if op.Kind != KindMultiGet && op.Kind.hasItems() {
		e.begin(op)
		e.body(op)
		e.uvarint(uint64(n))
		e.buf = append(e.buf, items...)
	} else {
		e.record(op)
	}
	s.buf = e.buf
	half := len(s.buf) > cap(s.buf)/2
	s.mu.Unlock()
	if half {
		r.rouse()
	}
}

// lock finds a shard that is free, if there is one, and locks it.
func (r *Recorder) lock() *shard {
	at := mathrand.Uint32()
	mask := uint32(len(r.shards) - 1)
	for i := range uint32(len(r.shards)) {
		if s := &r.shards[(at+i)&mask]; s.mu.TryLock() {
			return s
		}
	}
	s := &r.shards[at&mask]
	s.mu.Lock()
	return s
}

// rouse has the buffer written.
func (r *Recorder) rouse() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// space is the number of a keyspace.
func (r *Recorder) space(name string) uint32 {
	r.spaces.mu.Lock()
	defer r.spaces.mu.Unlock()
	n, ok := r.spaces.named[name]
	if !ok {
		n = uint32(len(r.spaces.named))
		r.spaces.named[name] = n
		op := Op{Kind: KindKeyspace, Keyspace: n, Start: r.now()}
		if !r.hashed {
			op.Name = name[:min(len(name), nameBytesMax)]
		}
		r.spaces.added = append(r.spaces.added, op)
	}
	return n
}

// Err is the failure that has stopped the recording, nil if there was none.
func (r *Recorder) Err() error {
	if p := r.err.Load(); p != nil {
		return *p
	}
	return nil
}

// Recorded is how many operations have gone to the file so far.
func (r *Recorder) Recorded() uint64 { return r.recorded.Load() }

// Dropped is how many operations were not recorded: the buffer was full, or
// writing had failed. It lags behind by up to 100 ms while recording. The trace
// has the number, too.
func (r *Recorder) Dropped() uint64 { return r.lost.Load() + r.late.Load() }

// Close writes what is left, syncs the file and closes it. Operations that end
// later are not recorded. It returns the first error of the recording. A second
// call returns the same.
func (r *Recorder) Close() error {
	r.ending.Do(func() { close(r.end) })
	<-r.ended
	return r.closeErr
}
