//go:build unix

package progress

import (
	"bytes"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
)

// terminal is a pseudo-terminal whose output is read all the time.
type terminal struct {
	tty    *os.File
	master *os.File
	mu     sync.Mutex
	out    bytes.Buffer // guarded by mu
	done   sync.WaitGroup
}

func newTerminal(t *testing.T, columns uint16) *terminal {
	t.Helper()
	master, tty, err := pty.Open()
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	if err := pty.Setsize(tty, &pty.Winsize{Rows: 24, Cols: columns}); err != nil {
		t.Fatal(err)
	}
	x := &terminal{tty: tty, master: master}
	x.done.Go(func() {
		buffer := make([]byte, 4096)
		for {
			n, err := master.Read(buffer)
			x.mu.Lock()
			x.out.Write(buffer[:n])
			x.mu.Unlock()
			if err != nil { // EIO or EOF, when the other side is closed
				return
			}
		}
	})
	return x
}

// screen is all that was written once the other side is closed.
func (x *terminal) screen(t *testing.T) string {
	t.Helper()
	if err := x.tty.Close(); err != nil {
		t.Fatal(err)
	}
	x.done.Wait()
	if err := x.master.Close(); err != nil && err != io.EOF {
		t.Fatal(err)
	}
	return x.out.String()
}

// wait waits until the terminal has got a text.
func (x *terminal) wait(t *testing.T, text string) {
	t.Helper()
	for range 3000 { // a minute
		x.mu.Lock()
		found := strings.Contains(x.out.String(), text)
		x.mu.Unlock()
		if found {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("the terminal never showed %q", text)
}

func environment(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestATerminalShowsWhatIsGoingOn(t *testing.T) {
	x := newTerminal(t, 100)
	d := New(x.tty, false, environment("TERM", "xterm"))
	u := example()
	d.Update(u)
	x.wait(t, "running 61%")
	u.Stalled, u.Busy = 2*time.Second, "L0 has 21 files"
	d.Update(u)
	x.wait(t, "stalled for 2.0s: L0 has 21 files")
	d.Print("readrandom has ended")
	x.wait(t, "readrandom has ended")
	d.Close()
	screen := x.screen(t)
	if !strings.Contains(screen, "\x1b[32m[") || !strings.Contains(screen, "\x1b[33mstalled") {
		t.Errorf("no colours in %q", screen)
	}
	// What remains below the last movement of the cursor is nothing.
	if last := screen[strings.LastIndex(screen, "\x1b["):]; strings.Contains(last, "running") {
		t.Errorf("the last thing written is %q", last)
	}
}

func TestATerminalWithoutColours(t *testing.T) {
	x := newTerminal(t, 40)
	d := New(x.tty, false, environment("TERM", "xterm", "NO_COLOR", "1"))
	d.Update(example())
	x.wait(t, "running 61%")
	d.Print(strings.Repeat("x", 100))
	x.wait(t, "x…")
	d.Close()
	screen := x.screen(t)
	if strings.Contains(screen, "m[") || strings.Contains(screen, "\x1b[3") {
		t.Errorf("colours in %q", screen)
	}
	if strings.Contains(screen, strings.Repeat("x", 41)) {
		t.Error("a line is wider than the terminal")
	}
}

func TestADumbTerminalGetsPlainLines(t *testing.T) {
	x := newTerminal(t, 80)
	d := New(x.tty, false, environment("TERM", "dumb"))
	d.Update(example())
	d.Close()
	if screen := x.screen(t); strings.Contains(screen, "\x1b") || !strings.HasPrefix(screen, "pebble-valsep") {
		t.Errorf("got %q", screen)
	}
}
