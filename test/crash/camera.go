package crash

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"

	"github.com/cordwood-db/cordwood/vfs"
)

// Image is what a crash left.
type Image struct {
	FS      *vfs.Mem
	Lo, Hi  int      // commits that must, and that may, be there
	Synced  int      // commits that survive a power loss after the process died
	Failed  []*State // what it may hold instead, of commits that failed
	Spaces  []Spaces // the keyspaces that it may have
	Now     int64
	Points  map[string]Span // checkpoints, likewise
	At      vfs.Op          // the operation that did not take place
	Kind    string
	items   []vfs.CrashItem
	choices []vfs.CrashChoice
}

// String describes the image for a failure message.
func (i *Image) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "image %q before operation %d, %v %s at %d length %d (%d un-synced items); commits %d..%d",
		i.Kind, i.At.Index, i.At.Kind, i.At.Path, i.At.Offset, i.At.Len, len(i.items), i.Lo, i.Hi)
	for n, c := range i.choices {
		fmt.Fprintf(&b, "\n  %s %v", [...]string{"drop", "keep", "tear"}[c], i.items[n])
	}
	return b.String()
}

// unsettled says that a process died with an edit written to its MANIFEST and
// not synced: what recovery sees then may be undone by a power loss.
func (i *Image) unsettled() bool {
	return i.Kind == "kill" && i.At.Kind == vfs.OpSync && strings.Contains(i.At.Path, "MANIFEST")
}

// Camera takes images of a file system before the operations of a workload.
// Safe for concurrent use.
type Camera struct {
	FS      *vfs.Mem
	History *History
	Clock   *Clock
	// SubsetsMax is up to how many un-synced items all subsets are taken of.
	SubsetsMax int
	// Random is how many images with random choices are taken otherwise.
	Random int
	// Every, if not 0, says of how many operations one is filmed.
	Every int
	// ImagesMax ends it all.
	ImagesMax int

	mu     sync.Mutex
	rand   *rand.Rand
	images []*Image
	syncs  int // operations that made something durable since the last "none"
	seen   int // operations seen
	first  int // operation to film
}

// Start starts to take images.
func (c *Camera) Start(seed uint64) {
	c.rand = rand.New(rand.NewPCG(seed, 3))
	c.syncs, c.first = 1, int(seed%1000)
	c.FS.SetHook(c.shoot)
}

// Stop stops it and returns the images.
func (c *Camera) Stop() []*Image {
	c.FS.SetHook(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.images
}

// Operations is how many operations were seen that may change what a crash
// leaves.
func (c *Camera) Operations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// shoot is the hook. What must be there is read before the image is taken, what
// may be there after it.
func (c *Camera) shoot(op vfs.Op) error {
	if !op.Kind.Mutates() {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	if len(c.images) >= c.ImagesMax || c.Every > 0 && c.seen%c.Every != c.first%c.Every {
		return nil
	}
	items := c.FS.Unsynced()
	// Without a sync since, an image of only the durable is the same again.
	if c.syncs > 0 {
		c.syncs--
		c.power(op, "none", nil, nil)
	}
	switch op.Kind {
	case vfs.OpSync, vfs.OpSyncDir, vfs.OpLock:
		c.syncs = 2 // it has not happened yet, nor perhaps before the next one
	}
	if len(items) == 0 {
		return nil
	}
	c.kill(op)
	if n := len(items); n <= c.SubsetsMax {
		for set := 1; set < 1<<n; set++ {
			c.subset(op, "subset", items, func(i int) vfs.CrashChoice { return vfs.CrashChoice(set >> i & 1) })
		}
		return nil
	}
	c.subset(op, "all", items, func(int) vfs.CrashChoice { return vfs.CrashKeep })
	for range c.Random {
		c.random(op, items)
	}
	return nil
}

// random takes an image of one of several forms.
func (c *Camera) random(op vfs.Op, items []vfs.CrashItem) {
	one := c.rand.IntN(len(items))
	switch c.rand.IntN(6) {
	case 0:
		c.subset(op, "one", items, func(i int) vfs.CrashChoice { return choice(i == one) })
	case 1:
		c.subset(op, "all but one", items, func(i int) vfs.CrashChoice { return choice(i != one) })
	case 2:
		c.subset(op, "names", items, func(i int) vfs.CrashChoice { return choice(items[i].Dir) })
	case 3:
		c.subset(op, "bytes", items, func(i int) vfs.CrashChoice { return choice(!items[i].Dir) })
	case 4:
		c.subset(op, "random", items, func(int) vfs.CrashChoice { return choice(c.rand.IntN(2) == 0) })
	default:
		c.subset(op, "torn", items, func(int) vfs.CrashChoice { return vfs.CrashChoice(c.rand.IntN(3)) })
	}
}

func choice(keep bool) vfs.CrashChoice {
	if keep {
		return vfs.CrashKeep
	}
	return vfs.CrashDrop
}

// subset takes an image that keeps what pick says.
func (c *Camera) subset(op vfs.Op, kind string, items []vfs.CrashItem, pick func(i int) vfs.CrashChoice) {
	choices := make([]vfs.CrashChoice, len(items))
	for i := range choices {
		choices[i] = pick(i)
	}
	c.power(op, kind, items, choices)
}

// power takes an image of a power loss. Items that have come since items were
// listed are dropped.
func (c *Camera) power(op vfs.Op, kind string, items []vfs.CrashItem, choices []vfs.CrashChoice) {
	lo := c.History.Synced()
	points, spaces := c.History.Checkpoints(), c.History.MaySpaces()
	next := 0
	fs := c.FS.CrashClone(func(item vfs.CrashItem) vfs.CrashChoice {
		for n := next; n < len(items); n++ {
			if items[n] == item {
				next = n + 1
				return choices[n]
			}
		}
		return vfs.CrashDrop
	})
	c.keep(&Image{FS: fs, Lo: lo, Synced: lo, Points: points, Spaces: spaces, At: op, Kind: kind, items: items, choices: choices})
}

// kill takes an image of the death of the process.
func (c *Camera) kill(op vfs.Op) {
	synced, lo := c.History.Synced(), c.History.Acked()
	points, spaces := c.History.Checkpoints(), c.History.MaySpaces()
	c.keep(&Image{FS: c.FS.KillClone(), Lo: lo, Synced: synced, Points: points, Spaces: spaces, At: op, Kind: "kill"})
}

func (c *Camera) keep(i *Image) {
	i.Hi = c.History.Begun()
	i.Spaces = append(i.Spaces, c.History.MaySpaces()...)
	i.Now = c.Clock.Nanos()
	still := c.History.Checkpoints()
	for dir := range i.Points {
		if _, ok := still[dir]; !ok {
			delete(i.Points, dir) // its removal may have begun
		}
	}
	c.images = append(c.images, i)
}
