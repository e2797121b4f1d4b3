package progress

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/term"
)

// PlainInterval is how often a phase is reported on where the output is no
// terminal.
const PlainInterval = 4 * time.Second

// Display shows progress.
type Display interface {
	// Update shows where the run is. It is cheap and may be called at any rate.
	Update(Update)
	// Print shows a line that stays. It may not hold line breaks.
	Print(line string)
	// Close takes away what is not to stay. Nothing may be called after it.
	Close()
}

// New returns the display that suits the output: live on a terminal, plain lines
// elsewhere, nothing if quiet. getenv is asked for TERM and NO_COLOR.
func New(out io.Writer, quiet bool, getenv func(string) string) Display {
	if quiet {
		return silent{}
	}
	file, ok := out.(*os.File)
	if ok && getenv("TERM") != "dumb" && term.IsTerminal(int(file.Fd())) {
		return newLive(file, getenv("NO_COLOR") == "")
	}
	return &plain{out: out, now: time.Now}
}

// silent shows nothing.
type silent struct{}

func (silent) Update(Update) {}
func (silent) Print(string)  {}
func (silent) Close()        {}

// plain writes lines.
type plain struct {
	mu    sync.Mutex
	out   io.Writer
	now   func() time.Time
	label string    // of the phase that was last reported on
	last  time.Time // when
}

// Update writes a line at the start of a phase, and now and then after.
func (p *plain) Update(u Update) {
	p.mu.Lock()
	defer p.mu.Unlock()
	label := u.label()
	if label == "" {
		label = u.State
	}
	now := p.now()
	switch {
	case label != p.label:
		p.label, p.last = label, now
		if whole := u.whole(); whole != "" {
			label += " (" + whole + ")"
		}
		fmt.Fprintln(p.out, label)
	case now.Sub(p.last) >= PlainInterval:
		p.last = now
		line := label + ": " + u.doing()
		if whole := u.whole(); whole != "" {
			line += " (" + whole + ")"
		}
		if u.stalled() {
			line += "; " + u.stall()
		}
		fmt.Fprintln(p.out, line)
	}
}

// Print writes the line, whatever the interval.
func (p *plain) Print(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.out, line)
}

// Close has nothing to take away.
func (p *plain) Close() {}
