package progress

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// Update is where a run is.
type Update struct {
	Engine, Set, Workload string        // of the phase of the moment; empty: none
	Round, Rounds         int           // Rounds below 2: not shown
	Phase, Phases         int           // the number of this phase among all; Phases 0: not known
	State                 string        // what it does, such as "loading" or "running"
	Fraction              float64       // how much of the state's work is done; negative: not known
	Overall               float64       // how much of the run is done
	Rate                  float64       // operations per second of late
	P99                   time.Duration // of the last second; 0: not known
	Stalled               time.Duration // since when no operation has ended
	Busy                  string        // what the engine says that holds writers back
	Elapsed               time.Duration // since the run began
	Left                  time.Duration // estimated; 0 or less: not known
}

// stallShown is the stall from which on one is told of it.
const stallShown = time.Second

// stalled reports whether the update has a stall worth a line.
func (u *Update) stalled() bool { return u.Stalled >= stallShown }

// label names the phase: "pebble, 1KiB, readrandom, round 2 of 3".
func (u *Update) label() string {
	var parts []string
	for _, part := range []string{u.Engine, u.Set, u.Workload} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if u.Rounds > 1 {
		parts = append(parts, fmt.Sprintf("round %d of %d", u.Round, u.Rounds))
	}
	return strings.Join(parts, ", ")
}

// doing tells what the phase does: "running 61%, 231,000/s, p99 12.3µs".
func (u *Update) doing() string {
	text := u.State
	if u.Fraction >= 0 {
		text += fmt.Sprintf(" %.0f%%", 100*min(u.Fraction, 1))
	}
	if u.Rate > 0 {
		text += ", " + rate(u.Rate)
	}
	if u.P99 > 0 {
		text += ", p99 " + latency(u.P99)
	}
	return text
}

// whole tells where the run is: "phase 12 of 27, 1m20s left".
func (u *Update) whole() string {
	var parts []string
	if u.Phases > 0 {
		parts = append(parts, fmt.Sprintf("phase %d of %d", u.Phase, u.Phases))
	}
	if u.Left > 0 {
		parts = append(parts, clock(u.Left)+" left")
	} else if u.Elapsed >= time.Second {
		parts = append(parts, clock(u.Elapsed))
	}
	return strings.Join(parts, ", ")
}

// stall tells of a stall: "stalled for 1.8s: L0 has 21 files".
func (u *Update) stall() string {
	text := fmt.Sprintf("stalled for %.1fs", u.Stalled.Seconds())
	if u.Busy != "" {
		text += ": " + u.Busy
	}
	return text
}

// fit cuts a text to a number of columns, a rune each.
func fit(text string, columns int) string {
	if utf8.RuneCountInString(text) <= columns {
		return text
	}
	if columns < 2 {
		return ""
	}
	return string([]rune(text)[:columns-1]) + "…"
}

// rate writes operations per second: 9.1/s, 231,000/s.
func rate(perSecond float64) string {
	if perSecond < 100 {
		return fmt.Sprintf("%.1f/s", perSecond)
	}
	digits := fmt.Sprintf("%.0f", perSecond)
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String() + "/s"
}

// latency writes a latency with three digits: 870ns, 12.3µs, 1.25ms.
func latency(d time.Duration) string {
	switch {
	case d < time.Microsecond:
		return fmt.Sprintf("%dns", d.Nanoseconds())
	case d < time.Millisecond:
		return fmt.Sprintf("%.3gµs", min(999, float64(d)/1e3))
	case d < time.Second:
		return fmt.Sprintf("%.3gms", min(999, float64(d)/1e6))
	}
	return fmt.Sprintf("%.2fs", d.Seconds())
}

// clock writes a time in whole seconds: 7s, 1m20s, 2h05m.
func clock(d time.Duration) string {
	s := int(d.Round(time.Second) / time.Second)
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	}
	return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
}
