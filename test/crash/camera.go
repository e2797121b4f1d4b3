package crash

import (
	"fmt"
	"math/rand/v2"
	"runtime"
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
	lo, hi  int64 // of an Order, until its bounds are known: see Order.Resolve
	since   int64 // likewise: what was durable at this tick is so in FS
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

// Witness knows what commits were made, and which of them a crash must leave.
type Witness interface {
	// before notes in an image that is about to be taken what must be there.
	before(img *Image)
	// after notes in an image that was just taken what may be there.
	after(img *Image)
}

// Camera takes images of a file system before the operations of a workload. Of
// images that hold the same bytes it keeps one, which has to stand up to what
// each of them must and may hold. Safe for concurrent use.
type Camera struct {
	FS      *vfs.Mem
	Witness Witness
	Clock   *Clock
	// SubsetsMax is up to how many un-synced items all subsets are taken of.
	SubsetsMax int
	// SinglesMax is up to how many un-synced items each is kept alone, left out
	// alone, and torn alone while the others are kept.
	SinglesMax int
	// Random is how many images with random choices are taken where there are
	// more items than SubsetsMax.
	Random int
	// Every, if not 0, says of how many operations one is filmed.
	Every int
	// ImagesMax ends it all.
	ImagesMax int
	// Yield, if not 0, is up to how often a write or a sync of the log lets
	// others run before it is carried out, so that commits queue up behind it.
	Yield int

	mu     sync.Mutex
	rand   *rand.Rand
	images []*Image
	taken  map[likeness]*Image
	hash   hasher
	seen   int // operations seen
	first  int // operation to film
	writes int // of the log
}

// Start starts to take images.
func (c *Camera) Start(seed uint64) {
	c.rand = rand.New(rand.NewPCG(seed, 3))
	c.first = int(seed % 1000)
	c.taken = make(map[likeness]*Image)
	c.FS.SetHook(c.shoot)
}

// Stop stops it and returns the images.
func (c *Camera) Stop() []*Image {
	c.FS.SetHook(nil)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = nil
	return c.images
}

// Operations is how many operations were seen that may change what a crash
// leaves.
func (c *Camera) Operations() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.seen
}

// shoot is the hook.
func (c *Camera) shoot(op vfs.Op) error {
	if !op.Kind.Mutates() {
		return nil
	}
	for range c.film(op) {
		runtime.Gosched()
	}
	return nil
}

// film takes the images before an operation, and says how often others shall
// run before it is carried out.
func (c *Camera) film(op vfs.Op) (yield int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen++
	if strings.HasSuffix(op.Path, ".wal") && (op.Kind == vfs.OpWrite || op.Kind == vfs.OpSync) {
		if op.Kind == vfs.OpWrite {
			c.writes++
		}
		if c.Yield > 0 {
			yield = c.rand.IntN(c.Yield)
		}
	}
	if len(c.images) >= c.ImagesMax || c.Every > 0 && c.seen%c.Every != c.first%c.Every {
		return yield
	}
	items := c.FS.Unsynced()
	c.subset(op, "none", items, func(int) vfs.CrashChoice { return vfs.CrashDrop })
	if len(items) == 0 {
		return yield
	}
	c.kill(op)
	n := len(items)
	if n <= c.SubsetsMax {
		for set := 1; set < 1<<n; set++ {
			c.subset(op, "subset", items, func(i int) vfs.CrashChoice { return vfs.CrashChoice(set >> i & 1) })
		}
	} else {
		c.subset(op, "all", items, func(int) vfs.CrashChoice { return vfs.CrashKeep })
		for range c.Random {
			c.random(op, items)
		}
	}
	if n <= c.SinglesMax {
		c.singles(op, items)
	}
	return yield
}

// singles takes the images in which one item is unlike all others. Those that
// all subsets have already are known by their bytes.
func (c *Camera) singles(op vfs.Op, items []vfs.CrashItem) {
	for one := range items {
		if len(items) > c.SubsetsMax {
			c.subset(op, "one", items, func(i int) vfs.CrashChoice { return choice(i == one) })
			c.subset(op, "all but one", items, func(i int) vfs.CrashChoice { return choice(i != one) })
		}
		if !items[one].Dir {
			c.subset(op, "one torn", items, func(i int) vfs.CrashChoice {
				if i == one {
					return vfs.CrashTear
				}
				return vfs.CrashKeep
			})
		}
	}
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
	c.take(&Image{At: op, Kind: kind, items: items, choices: choices}, func() *vfs.Mem {
		next := 0
		return c.FS.CrashClone(func(item vfs.CrashItem) vfs.CrashChoice {
			for n := next; n < len(items); n++ {
				if items[n] == item {
					next = n + 1
					return choices[n]
				}
			}
			return vfs.CrashDrop
		})
	})
}

// kill takes an image of the death of the process.
func (c *Camera) kill(op vfs.Op) { c.take(&Image{At: op, Kind: "kill"}, c.FS.KillClone) }

// take takes an image. What must be there is noted before, what may be there
// after it.
func (c *Camera) take(i *Image, clone func() *vfs.Mem) {
	c.Witness.before(i)
	i.FS = clone()
	c.Witness.after(i)
	i.Now = c.Clock.Nanos()
	like := c.likeness(i)
	if known := c.taken[like]; known != nil {
		known.narrow(i)
		return
	}
	c.taken[like] = i
	c.images = append(c.images, i)
}
