package progress

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// redraw is how often the terminal is drawn.
const redraw = 200 * time.Millisecond

// live redraws a few lines on a terminal.
type live struct {
	file     *os.File
	colour   bool
	progress *mpb.Progress
	bar      *mpb.Bar

	mu sync.Mutex
	u  Update
}

func newLive(file *os.File, colour bool) *live {
	l := &live{file: file, colour: colour}
	l.u.Fraction = -1
	l.progress = mpb.New(mpb.WithOutput(file), mpb.WithRefreshRate(redraw))
	l.bar = l.progress.MustAdd(1, mpb.BarFillerFunc(l.overall), mpb.BarFillerTrim(),
		mpb.BarExtender(mpb.BarFillerFunc(l.details), false), mpb.BarRemoveOnComplete())
	return l
}

// Update keeps what the next drawing shows.
func (l *live) Update(u Update) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.u = u
}

func (l *live) current() Update {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.u
}

// Print writes a line above the bar. It is cut to the terminal, because a line
// that wraps moves the ones that are redrawn.
func (l *live) Print(line string) {
	// The write fails only after Close.
	_, _ = fmt.Fprintln(l.progress, fit(line, l.width()))
}

func (l *live) width() int {
	width, _, err := term.GetSize(int(l.file.Fd()))
	if err != nil || width < 1 {
		return 80
	}
	return width
}

// Close takes the lines away.
func (l *live) Close() {
	l.bar.Abort(true)
	l.progress.Wait()
}

// overall draws the first line.
func (l *live) overall(out io.Writer, s decor.Statistics) error {
	u := l.current()
	_, err := io.WriteString(out, l.paint(green, overallLine(u, s.AvailableWidth-1)))
	return err
}

// details draws the lines below it.
func (l *live) details(out io.Writer, s decor.Statistics) error {
	u := l.current()
	if _, err := fmt.Fprintln(out, phaseLine(u, s.AvailableWidth-1)); err != nil {
		return err
	}
	if !u.stalled() {
		return nil
	}
	_, err := fmt.Fprintln(out, l.paint(yellow, fit(u.stall(), s.AvailableWidth-1)))
	return err
}

// Colours of the terminal's own palette, which is readable on its background.
const (
	green  = "32"
	yellow = "33"
)

func (l *live) paint(colour, text string) string {
	if !l.colour {
		return text
	}
	return "\x1b[" + colour + "m" + text + "\x1b[0m"
}

// Widths of the bar: what it needs to tell anything, and what is enough.
const (
	barColumnsMin = 8
	barColumnsMax = 40
)

// overallLine is "▕███████        ▏ 43%  phase 12 of 27, 1m20s left", in so many columns.
func overallLine(u Update, columns int) string {
	done := min(max(u.Overall, 0), 1)
	text := fmt.Sprintf("%3.0f%%  %s", 100*done, u.whole())
	width := min(columns-len([]rune(text))-3, barColumnsMax)
	if width < barColumnsMin {
		return fit(strings.TrimSpace(text), columns)
	}
	full := int(done * float64(width))
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", width-full) + "] " + text
}

// phaseLine is "pebble, 1KiB, readrandom: running 61%, 231,000/s, p99 12µs". In a
// narrow terminal the names give way to the figures.
func phaseLine(u Update, columns int) string {
	doing := u.doing()
	for _, name := range []string{u.label(), u.Engine + " " + u.Workload, u.Workload} {
		if line := name + ": " + doing; strings.TrimSpace(name) != "" && len([]rune(line)) <= columns {
			return line
		}
	}
	return fit(doing, columns)
}
