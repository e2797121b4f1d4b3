package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"
)

const (
	terminalInterval = 500 * time.Millisecond
	plainInterval    = 4 * time.Second
	progressColumns  = 79
)

// progress shows how far the run is: one line that is redrawn on a terminal,
// a plain line now and then elsewhere. Its methods belong to one goroutine.
type progress struct {
	out      io.Writer
	terminal bool
	interval time.Duration
}

func newProgress(out io.Writer, quiet bool) *progress {
	p := &progress{out: out, interval: plainInterval}
	if file, ok := out.(*os.File); ok {
		info, err := file.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	if p.terminal {
		p.interval = terminalInterval
	}
	if quiet {
		p.out, p.terminal = io.Discard, false
	}
	return p
}

// note shows one line that stays, unless it is drawn over on a terminal.
func (p *progress) note(line string) {
	if p.terminal {
		p.draw(line)
		return
	}
	fmt.Fprintln(p.out, line)
}

func (p *progress) draw(line string) {
	runes := []rune(line)
	line = string(runes[:min(len(runes), progressColumns)])
	fmt.Fprintf(p.out, "\r%s%s", line, strings.Repeat(" ", progressColumns-len([]rune(line))))
}

// clear takes the line away, before tables or errors are printed.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprintf(p.out, "\r%s\r", strings.Repeat(" ", progressColumns))
	}
}

// watch shows a phase that has total operations, of which done() have ended,
// until the function that it returns is called. Work that cannot be counted has
// a total of 0, and done may be nil.
func (p *progress) watch(label string, total uint64, done func() uint64) (stop func()) {
	var wg sync.WaitGroup
	over := make(chan struct{})
	began := time.Now()
	p.note(label)
	wg.Go(func() {
		ticks := time.NewTicker(p.interval)
		defer ticks.Stop()
		lastDone, lastTime := uint64(0), began
		for {
			select {
			case <-over:
				return
			case <-ticks.C:
			}
			count, now := uint64(0), time.Now()
			if total > 0 {
				count = done()
			}
			rate := float64(count-lastDone) / now.Sub(lastTime).Seconds()
			lastDone, lastTime = count, now
			p.note(progressLine(label, count, total, rate, now.Sub(began)))
		}
	})
	return func() {
		close(over)
		wg.Wait()
	}
}

// progressLine is the text for a phase: percentage, rate and time left.
func progressLine(label string, done, total uint64, rate float64, took time.Duration) string {
	if total == 0 {
		return fmt.Sprintf("%s  %s", label, took.Round(100*time.Millisecond))
	}
	left := "?"
	if done > 0 {
		left = (time.Duration(float64(took) * float64(total-min(done, total)) / float64(done))).Round(100 * time.Millisecond).String()
	}
	speed := count(uint64(rate))
	if rate < 10 {
		speed = threeDigits(rate)
	}
	return fmt.Sprintf("%s %3d%%  %s/s  %s left", label, 100*min(done, total)/total, speed, left)
}
