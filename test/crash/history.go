package crash

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// Write is one write of a commit.
type Write struct {
	Op    byte   // p: put, t: put with TTL, d: delete, r: delete range, m: merge
	Space string // the keyspace's name; empty: the default one
	Key   string
	End   string // of a range
	Value []byte
	TTL   time.Duration
}

// do puts w into a batch.
func (w *Write) do(to db.Writer) error {
	switch w.Op {
	case 'p':
		return to.Put([]byte(w.Key), w.Value)
	case 't':
		return to.PutTTL([]byte(w.Key), w.Value, w.TTL)
	case 'd':
		return to.Delete([]byte(w.Key))
	case 'r':
		return to.DeleteRange(db.Between([]byte(w.Key), []byte(w.End)))
	}
	return to.Merge([]byte(w.Key), w.Value)
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

// Spaces are the keyspaces that there are at some time: the number of each life
// of a keyspace by its name. The default one has no name and is number 0. Never
// changed.
type Spaces map[string]int

// place is a key of a keyspace.
type place struct {
	space int
	key   string
}

// State is what the commits have left in every keyspace that there ever was. It
// is never changed.
type State struct {
	entries map[place]entry

	mu    sync.Mutex
	shown *View // asked for last
}

// View is what a store holds: the items of its keyspaces at a time.
type View struct {
	spaces Spaces
	now    int64
	items  []Item
}

// Item is a key with its value. One without a key says that there is a keyspace.
type Item struct {
	Space string
	Key   string
	Value []byte
}

func compareItems(a, b Item) int {
	return cmp.Or(strings.Compare(a.Space, b.Space), strings.Compare(a.Key, b.Key))
}

// String is the place of the item.
func (i Item) String() string { return fmt.Sprintf("%q/%q", i.Space, i.Key) }

// Empty is the state of a new store.
func Empty() *State { return &State{} }

// After is the state when the writes were made at a time.
func (s *State) After(writes []Write, spaces Spaces, now int64) *State {
	m := maps.Clone(s.entries)
	if m == nil {
		m = make(map[place]entry)
	}
	for i := range writes {
		w := &writes[i]
		at := place{spaces[w.Space], w.Key}
		switch w.Op {
		case 'p':
			m[at] = entry{put: w.Value, isPut: true}
		case 't':
			m[at] = entry{put: w.Value, isPut: true, expiry: now + int64(w.TTL)}
		case 'd':
			delete(m, at)
		case 'r':
			maps.DeleteFunc(m, func(k place, _ entry) bool {
				return k.space == at.space && k.key >= w.Key && k.key < w.End
			})
		case 'm':
			e := m[at]
			e.tail, e.merged = slices.Concat(e.tail, w.Value), true
			m[at] = e
		}
	}
	return &State{entries: m}
}

// Items lists, in order, the keyspaces and the keys that have a value at a time.
func (s *State) Items(spaces Spaces, now int64) []Item {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v := s.shown; v != nil && v.now == now && maps.Equal(v.spaces, spaces) {
		return v.items
	}
	names := map[int]string{0: ""}
	items := make([]Item, 0, len(s.entries))
	for name, id := range spaces {
		names[id] = name
		items = append(items, Item{Space: name})
	}
	for k, e := range s.entries {
		name, ok := names[k.space]
		if !ok {
			continue
		}
		if v, ok := e.at(now); ok {
			items = append(items, Item{name, k.key, v})
		}
	}
	slices.SortFunc(items, compareItems)
	s.shown = &View{spaces, now, items}
	return items
}

// History is the commits of one writer, and the keyspaces that it made and
// dropped. Safe for concurrent use.
//
// A commit may be lost although a keyspace was made or dropped after it: that is
// always durable. So what a store holds after a crash is a prefix of the
// commits, seen in the keyspaces that there are.
type History struct {
	mu     sync.Mutex
	states []*State // [n]: after n commits; the last one may be under way
	acked  int      // commits that returned nil
	synced int      // that survive power loss
	failed []*State // the last state with a commit that failed after it

	spaces  []Spaces // that there may be: the last change may be under way, the one before it is done
	numbers int      // given to keyspaces so far

	commits   []commit // of a crew, once their order is known: [n] makes n+1 of n
	feedFrom  uint64   // the position of a feed that has had what makes states[0]
	feedBytes int64    // db.Options.FeedBytes of a crew

	checkpoints map[string]*Span
	sighted     map[string]bool // checkpoints of images, by their bytes and by what is asked of them
}

// NewHistory is the history of a store that holds base, durably.
func NewHistory(base *State, spaces Spaces) *History {
	h := &History{states: []*State{base}, spaces: []Spaces{spaces}, checkpoints: make(map[string]*Span)}
	for _, n := range spaces {
		h.numbers = max(h.numbers, n)
	}
	for at := range base.entries { // also those of keyspaces that were dropped
		h.numbers = max(h.numbers, at.space)
	}
	return h
}

// Cut is the history of a store that is recovered from img with n commits of h,
// of which the first synced ones are durable.
func (h *History) Cut(img *Image, synced, n int, spaces Spaces) *History {
	h.mu.Lock()
	defer h.mu.Unlock()
	cut := NewHistory(h.states[synced], spaces)
	// A power loss in the middle of the recovery may undo what it has found.
	cut.spaces = append(slices.Clone(img.Spaces), spaces)
	cut.numbers = h.numbers
	cut.states = append(cut.states, h.states[synced+1:n+1]...)
	cut.acked = n - synced
	if len(h.commits) >= n {
		cut.commits, cut.feedBytes = h.commits[synced:n], h.feedBytes
		cut.feedFrom = h.position(synced)
	}
	return cut
}

// position is where a feed is that has had the first n commits of a crew.
func (h *History) position(n int) uint64 {
	if n == 0 {
		return h.feedFrom
	}
	return h.commits[n-1].seq
}

// Span is a range of commit counts, and the keyspaces that there may be.
type Span struct {
	Lo, Hi int
	Done   bool // of a checkpoint: it returned nil
	spaces []Spaces
	failed []*State
}

// Begin notes that a commit is about to be made.
func (h *History) Begin(writes []Write, now int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.states = append(h.states, h.states[len(h.states)-1].After(writes, h.spaces[len(h.spaces)-1], now))
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

// Change notes that a keyspace is about to be made, or dropped.
func (h *History) Change(name string, drop bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	next := maps.Clone(h.spaces[len(h.spaces)-1])
	if next == nil {
		next = Spaces{}
	}
	if delete(next, name); !drop {
		h.numbers++
		next[name] = h.numbers
	}
	h.spaces = append(h.spaces, next)
}

// Changed notes what became of the change: if it failed, the store goes on
// without it, and the next Open may find it.
func (h *History) Changed(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := len(h.spaces) - 1
	if err == nil {
		h.spaces = h.spaces[last:]
		return
	}
	h.spaces[last-1], h.spaces[last] = h.spaces[last], h.spaces[last-1]
}

// Spaces are the keyspaces of the running store.
func (h *History) Spaces() Spaces {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.spaces[len(h.spaces)-1]
}

// MaySpaces are all that the store may have when it is opened.
func (h *History) MaySpaces() []Spaces {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.spaces)
}

// Items are what the running store holds.
func (h *History) Items(now int64) []Item {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.states[h.acked].Items(h.spaces[len(h.spaces)-1], now)
}

// Adopt notes that the store was opened again and holds items: the commit that
// failed last may turn out to be there, and the change of keyspaces.
func (h *History) Adopt(items []Item, now int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, spaces := range slices.Backward(h.spaces) {
		for i, s := range append([]*State{h.states[h.acked]}, h.failed...) {
			if Same(items, s.Items(spaces, now)) != nil {
				continue
			}
			if i > 0 {
				h.states = append(h.states, s)
				h.acked++
			}
			h.failed, h.spaces = nil, []Spaces{spaces}
			return
		}
	}
	h.failed, h.spaces = nil, h.spaces[len(h.spaces)-1:]
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
		h.checkpoints[dir].Done = true
		return
	}
	h.checkpoints[dir] = &Span{Lo: h.acked, Hi: h.acked, spaces: slices.Clone(h.spaces[len(h.spaces)-1:])}
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

// before implements Witness.
func (h *History) before(img *Image) {
	img.Synced, img.Lo = h.Synced(), h.Acked()
	if img.Kind != "kill" {
		img.Lo = img.Synced
	}
	img.Points, img.Spaces = h.Checkpoints(), h.MaySpaces()
}

// after implements Witness.
func (h *History) after(img *Image) {
	img.Hi = h.Begun()
	img.Spaces = joinSpaces(img.Spaces, h.MaySpaces())
	still := h.Checkpoints()
	for dir := range img.Points {
		if _, ok := still[dir]; !ok {
			delete(img.Points, dir) // its removal may have begun
		}
	}
}

// joinSpaces appends the keyspaces of b to a that a has not.
func joinSpaces(a, b []Spaces) []Spaces {
	for _, s := range b {
		if !slices.ContainsFunc(a, func(has Spaces) bool { return maps.Equal(has, s) }) {
			a = append(a, s)
		}
	}
	return a
}
