package main

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestProgressIsShownWhileWorkGoesOn(t *testing.T) {
	for _, terminal := range []bool{false, true} {
		var out strings.Builder
		p := newProgress(&out, false)
		p.terminal, p.interval = terminal, time.Millisecond
		var done atomic.Uint64
		stop := p.watch("counted", 100, func() uint64 { return done.Add(1) })
		time.Sleep(30 * time.Millisecond)
		stop()
		stop = p.watch("uncounted", 0, nil)
		time.Sleep(30 * time.Millisecond)
		stop()
		p.clear()
		for _, want := range []string{"counted", "%", "left", "uncounted  "} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("terminal %v: %q is not in %q", terminal, want, out.String())
			}
		}
		if got := strings.Contains(out.String(), "\r"); got != terminal {
			t.Errorf("terminal %v: %q", terminal, out.String())
		}
	}
}

func TestQuietIsQuiet(t *testing.T) {
	var out strings.Builder
	p := newProgress(&out, true)
	p.watch("work", 0, nil)()
	p.clear()
	if out.String() != "" {
		t.Errorf("%q", out.String())
	}
}
