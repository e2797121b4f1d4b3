package process

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/vfs"
)

// moment is what a child is doing when it is killed.
type moment int

const (
	atWork       moment = iota // at any time
	atOpen                     // while it opens the store, mostly one that was killed before
	atClose                    // while it closes the store under its writers
	atCheckpoint               // while it makes a checkpoint
	moments
)

func (m moment) String() string {
	return [...]string{"at work", "at open", "at close", "at a checkpoint"}[m]
}

// patience is how long a child may take for what it is waited for: much longer
// than it does, on any machine.
const patience = 2 * time.Minute

func TestKilledProcessLosesNothingItAcknowledged(t *testing.T) {
	budget := testkit.Amount{Short: 6, Normal: 24, CI: 200, Full: 10_000}.Budget(t)
	seed := testkit.Seed(t)
	var kills, lives, steps atomic.Int64
	defer func() {
		testkit.Count(t, "kills", int(kills.Load()))
		t.Logf("%d stores, %d steps", lives.Load(), steps.Load())
	}()
	var wg sync.WaitGroup
	const lanes = 2 // at once, each with a store of its own
	for range lanes {
		wg.Go(func() {
			for budget.More(int(kills.Load())) && !t.Failed() {
				s := seed + uint64(lives.Add(1)) - 1
				made, err := killOneStore(storeRoot(t, s), s, func() bool { return budget.More(int(kills.Add(1))) })
				if err != nil {
					t.Errorf("%s=%d: %v", testkit.SeedEnv, s, err)
				}
				steps.Add(int64(made))
			}
		})
	}
	wg.Wait()
}

// storeRoot is a new directory: for every other seed one in memory, where there
// is such a file system with room enough. There a sync takes no time, and more
// happens between two kills.
func storeRoot(t *testing.T, seed uint64) string {
	const memory = "/dev/shm"
	if free, err := vfs.OS().Free(memory); seed%2 != 0 || err != nil || free < 16*diskMax {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(memory, "cordwood-test")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// killsOfAStore is how often the owner of one store is killed, at most.
const killsOfAStore = 40

// killOneStore kills owners of a store again and again, all as the seed says,
// until more says no. It counts their steps.
func killOneStore(root string, seed uint64, more func() bool) (steps int, err error) {
	r := rand.New(rand.NewPCG(seed, 0))
	l := newLife(root, seed)
	defer func() {
		for _, n := range l.known.acked {
			steps += n + 1
		}
		if err == nil {
			err = os.RemoveAll(root) // now, since a soak goes on for long
		}
	}()
	unchecked := 0
	for kill := range killsOfAStore {
		m := moment(r.IntN(int(moments) + 2))
		if m >= moments {
			m = atWork
		}
		last := !more() || kill == killsOfAStore-1
		if err := l.killOne(r, m); err != nil {
			return 0, fmt.Errorf("kill %d, %v: %w", kill, m, err)
		}
		// A child that finds the store as another left it has to recover it.
		if unchecked++; !last && unchecked < 4 && r.IntN(2) == 0 {
			continue
		}
		unchecked = 0
		if err := l.check(); err != nil {
			return 0, fmt.Errorf("after kill %d, %v: %w; options %+v", kill, m, err, drawOptions(seed))
		}
		if last {
			break
		}
	}
	return 0, nil
}

// life is the store of one seed, and all that is known about it outside the
// processes that own it.
type life struct {
	root, dir string
	seed      uint64

	mu     sync.Mutex
	known  known
	before progress // acknowledged when the child was started
	marker int      // number of the last one that a check has written

	checkpoints []checkpoint // that were begun, since the last check
	lastOne     int          // number of the last checkpoint
}

// checkpoint is one that a child has begun to make.
type checkpoint struct {
	number int
	floor  progress // acknowledged when it was begun
	done   bool
}

func newLife(root string, seed uint64) *life {
	l := &life{root: root, dir: filepath.Join(root, "store"), seed: seed, lastOne: -1}
	l.known.init()
	return l
}

// checkpointDir is where checkpoint n of a store goes.
func checkpointDir(dir string, n int) string { return fmt.Sprintf("%s-checkpoint-%d", dir, n) }

// start starts a child that goes on from what is known, which is handed to it
// with its environment.
func (l *life) start(prepare func(*exec.Cmd)) (*child, error) {
	l.mu.Lock()
	env := l.known.encode(l.seed, l.lastOne)
	l.known.begun()
	l.before = l.known.acked
	l.mu.Unlock()
	return start("writers", l.dir, func(cmd *exec.Cmd) {
		cmd.Env = append(cmd.Env, knownEnv+"="+env)
		if prepare != nil {
			prepare(cmd)
		}
	})
}

// killOne starts a child and kills it at some moment.
func (l *life) killOne(r *rand.Rand, m moment) error {
	c, err := l.start(nil)
	if err != nil {
		return err
	}
	defer c.kill()
	said := make(chan string, 16) // more than a child says that is no acknowledgement
	read := make(chan error, 1)
	go func() { read <- l.listen(c, said) }()
	if err := l.awaitMoment(r, c, m, said); err != nil {
		c.kill()
		return errors.Join(err, <-read, c.complaint())
	}
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	err = <-read // all of it, before Wait closes the pipe
	_ = c.cmd.Wait()
	return errors.Join(err, c.complaint())
}

// awaitMoment waits until the child is at m, and for some time more.
func (l *life) awaitMoment(r *rand.Rand, c *child, m moment, said <-chan string) error {
	pause := func(most time.Duration) { time.Sleep(time.Duration(r.Int64N(int64(most)))) }
	if err := await(said, sayOpening); err != nil {
		return err
	}
	if m == atOpen {
		pause(12 * time.Millisecond)
		return nil
	}
	if err := await(said, sayOpen); err != nil {
		return err
	}
	switch m {
	case atCheckpoint:
		if err := await(said, sayCheckpoint); err != nil {
			return err
		}
		pause(8 * time.Millisecond)
		return nil
	case atClose:
		pause(100 * time.Millisecond)
		if err := c.stdin.Close(); err != nil {
			return err
		}
		if err := await(said, sayClosing); err != nil {
			return err
		}
		pause(15 * time.Millisecond)
		return nil
	}
	pause(300 * time.Millisecond)
	return l.awaitWork(said)
}

// awaitWork waits until the child has acknowledged something: on a busy machine it
// may have had no time to, and nothing could be lost.
func (l *life) awaitWork(said <-chan string) error {
	for start := time.Now(); time.Since(start) < patience; time.Sleep(time.Millisecond) {
		l.mu.Lock()
		acked := l.known.acked
		l.mu.Unlock()
		if acked != l.before {
			return nil
		}
		select {
		case _, ok := <-said:
			if !ok {
				return errors.New("the child has ended and done nothing")
			}
		default:
		}
	}
	return errors.New("the child does nothing")
}

// await waits for the child to say something.
func await(said <-chan string, what string) error {
	timeout := time.After(patience)
	for {
		select {
		case line, ok := <-said:
			if !ok {
				return fmt.Errorf("the child has ended without %q", what)
			}
			if line == what {
				return nil
			}
		case <-timeout:
			return fmt.Errorf("the child does not say %q", what)
		}
	}
}

// listen takes in everything that the child prints, until it is dead. What is
// no acknowledgement goes to said.
func (l *life) listen(c *child, said chan<- string) error {
	defer close(said)
	for c.out.Scan() {
		line := c.out.Text()
		l.mu.Lock()
		other, err := l.note(line)
		l.mu.Unlock()
		if err != nil {
			return err
		}
		if other {
			select {
			case said <- line:
			default: // nobody waits for it any more
			}
		}
	}
	return c.out.Err()
}

// note takes in a line: it is in the pipe, so the child has done it.
func (l *life) note(line string) (other bool, err error) {
	word, rest, _ := strings.Cut(line, " ")
	switch word {
	case "ack":
		return false, l.known.acknowledge(rest)
	case "number":
		return false, l.known.numbers.give(rest)
	case "feed":
		return false, l.known.feed.deliver(rest)
	case sayCheckpoint:
		l.lastOne++
		l.checkpoints = append(l.checkpoints, checkpoint{number: l.lastOne, floor: l.known.acked})
		return true, nil
	case "checkpointed":
		l.checkpoints[len(l.checkpoints)-1].done = true
		return false, nil
	}
	return true, nil
}

// check opens the store and compares it, its feed, its sequence and its
// checkpoints with what is known.
func (l *life) check() (err error) {
	store, err := db.Open(l.dir, drawOptions(l.seed))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	at, err := checkStore(store, l.known.acked, l.known.ceiling(), false)
	if err != nil {
		return err
	}
	l.known.settle(at)
	if err := l.known.numbers.check(store); err != nil {
		return err
	}
	l.marker++
	if err := l.known.feed.catchUp(store, l.marker, at); err != nil {
		return err
	}
	for _, c := range l.checkpoints {
		if err := l.checkCheckpoint(c); err != nil {
			return fmt.Errorf("checkpoint %d, done: %v: %w", c.number, c.done, err)
		}
	}
	l.checkpoints = l.checkpoints[:0]
	if n := dirBytes(l.dir); n > diskMax {
		return fmt.Errorf("%d bytes on disk", n)
	}
	return nil
}

// diskMax is what a store may take on disk: it holds some hundred KiB, and as
// much log as feeds may want.
const diskMax = 2*feedBytes + 64<<20

// checkCheckpoint opens a checkpoint, which has everything from before it was
// begun; or which is none, if its maker was killed.
func (l *life) checkCheckpoint(c checkpoint) (err error) {
	dir := checkpointDir(l.dir, c.number)
	defer os.RemoveAll(dir)
	o := drawOptions(l.seed)
	o.MustExist = true
	store, err := db.Open(dir, o)
	var missing *db.MissingFileError
	if !c.done && (errors.Is(err, fs.ErrNotExist) || errors.As(err, &missing)) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	_, err = checkStore(store, c.floor, l.known.acked, true)
	return err
}
