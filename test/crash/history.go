package crash

import (
	"bytes"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// Write is one write of a commit.
type Write struct {
	Op    byte // p: put, t: put with TTL, d: delete, r: delete range, m: merge
	Key   string
	End   string // of a range
	Value []byte
	TTL   time.Duration
}

// add puts w into a batch.
func (w *Write) add(b *db.Batch) error {
	switch w.Op {
	case 'p':
		return b.Put([]byte(w.Key), w.Value)
	case 't':
		return b.PutTTL([]byte(w.Key), w.Value, w.TTL)
	case 'd':
		return b.Delete([]byte(w.Key))
	case 'r':
		return b.DeleteRange(db.Between([]byte(w.Key), []byte(w.End)))
	}
	return b.Merge([]byte(w.Key), w.Value)
}

// entry is the value of a key: what was put, until it expires, followed by what
// was merged into it since.
type entry struct {
	put    []byte
	isPut  bool
	expiry int64 // of put, in nanoseconds; 0: never
	merged bool
	tail   []byte
}

// at is the value at a time.
func (e *entry) at(now int64) ([]byte, bool) {
	if e.isPut && (e.expiry == 0 || now < e.expiry) {
		return slices.Concat(e.put, e.tail), true
	}
	return e.tail, e.merged
}

// State is what a store should hold. It is never changed.
type State struct {
	entries map[string]entry

	mu    sync.Mutex
	items []Item // at the time now
	now   int64
}

// Item is a key with its value.
type Item struct {
	Key   string
	Value []byte
}

// Empty is the state of a new store.
func Empty() *State { return &State{} }

// After is the state when the writes were made at a time.
func (s *State) After(writes []Write, now int64) *State {
	m := maps.Clone(s.entries)
	if m == nil {
		m = make(map[string]entry)
	}
	for i := range writes {
		w := &writes[i]
		switch w.Op {
		case 'p':
			m[w.Key] = entry{put: w.Value, isPut: true}
		case 't':
			m[w.Key] = entry{put: w.Value, isPut: true, expiry: now + int64(w.TTL)}
		case 'd':
			delete(m, w.Key)
		case 'r':
			maps.DeleteFunc(m, func(k string, _ entry) bool { return k >= w.Key && k < w.End })
		case 'm':
			e := m[w.Key]
			e.tail, e.merged = slices.Concat(e.tail, w.Value), true
			m[w.Key] = e
		}
	}
	return &State{entries: m}
}

// Items lists the keys that have a value at a time, in order.
func (s *State) Items(now int64) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.items != nil && s.now == now {
		return s.items
	}
	items := make([]Item, 0, len(s.entries))
	for k, e := range s.entries {
		if v, ok := e.at(now); ok {
			items = append(items, Item{k, v})
		}
	}
	slices.SortFunc(items, func(a, b Item) int { return bytes.Compare([]byte(a.Key), []byte(b.Key)) })
	s.items, s.now = items, now
	return items
}

// History is the commits of one writer. Safe for concurrent use.
type History struct {
	mu     sync.Mutex
	states []*State // [n]: after n commits; the last one may be under way
	acked  int      // commits that returned nil
	synced int      // that survive power loss
	failed []*State // the last state with a commit that failed after it

	checkpoints map[string]*Span
}

// NewHistory is the history of a store that holds base, durably.
func NewHistory(base *State) *History {
	return &History{states: []*State{base}, checkpoints: make(map[string]*Span)}
}

// Cut is the history of a store that holds n commits of h, of which the first
// synced ones are durable.
func (h *History) Cut(synced, n int) *History {
	h.mu.Lock()
	defer h.mu.Unlock()
	cut := NewHistory(h.states[synced])
	cut.states = append(cut.states, h.states[synced+1:n+1]...)
	cut.acked = n - synced
	return cut
}

// Span is a range of commit counts.
type Span struct {
	Lo, Hi int
	Done   bool // of a checkpoint: it returned nil
	failed []*State
}

// Begin notes that a commit is about to be made.
func (h *History) Begin(writes []Write, now int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = append(h.states, h.states[len(h.states)-1].After(writes, now))
}

// Ack notes that the commit begun last succeeded.
func (h *History) Ack(durable bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.acked = len(h.states) - 1
	h.failed = nil
	if durable {
		h.synced = h.acked
	}
}

// Fail notes that the commit begun last failed: nobody sees it, but the next
// Open may find it if nothing was committed after it.
func (h *History) Fail() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = append(h.failed, h.states[len(h.states)-1])
	h.states = h.states[:len(h.states)-1]
}

// Adopt notes that the store was opened again and holds items: the commit that
// failed last may turn out to be there.
func (h *History) Adopt(items []Item, now int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if Same(items, h.states[h.acked].Items(now)) != nil {
		for _, s := range h.failed {
			if Same(items, s.Items(now)) == nil {
				h.states = append(h.states, s)
				h.acked++
				break
			}
		}
	}
	h.failed = nil
}

// Durable notes that the first n commits survive power loss.
func (h *History) Durable(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.synced = max(h.synced, n)
}

// Acked is how many commits were acknowledged.
func (h *History) Acked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.acked
}

// Synced is how many commits survive power loss.
func (h *History) Synced() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.synced
}

// Begun is how many commits were begun.
func (h *History) Begun() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.states) - 1
}

// State is the state after n commits.
func (h *History) State(n int) *State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.states[n]
}

// Failed are the states that the store may have as well, because of commits
// that failed.
func (h *History) Failed() []*State {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.failed)
}

// Checkpoint notes that a checkpoint of the acknowledged commits is being made;
// done, that it is there.
func (h *History) Checkpoint(dir string, done bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if done {
		h.checkpoints[dir] = &Span{Lo: h.acked, Hi: h.acked, Done: true}
		return
	}
	h.checkpoints[dir] = &Span{Lo: h.acked, Hi: h.acked}
}

// DropCheckpoint notes that a checkpoint is removed.
func (h *History) DropCheckpoint(dir string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.checkpoints, dir)
}

// Checkpoints are the checkpoints that there may be.
func (h *History) Checkpoints() map[string]Span {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := make(map[string]Span, len(h.checkpoints))
	for dir, s := range h.checkpoints {
		m[dir] = *s
	}
	return m
}
