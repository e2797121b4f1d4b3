package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// head prints where and how a run was measured.
func (t *table) head() {
	h := &t.run.Header
	if h.Title != "" {
		t.printf("%s\n", h.Title)
	}
	for _, line := range MachineLines(&h.Machine) {
		t.printf("%s", wrapped("", line, 2))
	}
	t.printf("%s", wrapped("", strings.Join(conditions(h), ", ")+".", 2))
	for _, e := range h.Engines {
		line := fmt.Sprintf("%s: %s %s", e.Name, e.Title, e.Version)
		if e.Program != "" {
			line += " of " + e.Program
		}
		t.printf("%s", wrapped("", line, 2))
	}
}

// MachineLines describes a machine in a few lines, without what is not known.
func MachineLines(m *result.Machine) []string {
	join := func(parts ...string) string {
		return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), ", ")
	}
	when := func(known bool, format string, args ...any) string {
		if !known {
			return ""
		}
		return fmt.Sprintf(format, args...)
	}
	lines := []string{
		join(when(m.OS != "", "%s/%s", m.OS, m.Arch), m.Kernel, m.CPU,
			when(m.Processors > 0, "%d processors", m.Processors),
			when(m.MemoryBytes > 0, "%s of memory", Size(float64(m.MemoryBytes))), m.GoVersion,
			when(m.Load > 0, "load %.2f", m.Load)),
		join(when(m.Dir != "", "in %s", m.Dir), when(m.FileSystem != "", "%s", strings.TrimSpace(m.FileSystem+" "+m.Device)),
			when(m.FreeBytes > 0, "%s free", Size(float64(m.FreeBytes))),
			when(m.FsyncP50NS > 0, "fsync takes %s, p99 %s", Duration(time.Duration(m.FsyncP50NS)), Duration(time.Duration(m.FsyncP99NS)))),
	}
	return slices.DeleteFunc(lines, func(s string) bool { return s == "" })
}

// BudgetText says what memory every engine could use alike.
func BudgetText(b *result.Budget) string {
	return fmt.Sprintf("memtables of %s, up to %d, a cache of %s, filters of %d bits a key, compression %s",
		Size(float64(b.MemtableBytes)), b.MemtablesMax, Size(float64(b.CacheBytes)), b.FilterBits, b.Compression)
}

// conditions are the settings of a run that matter to what was measured.
func conditions(h *result.Header) []string {
	parts := []string{plural(h.Rounds, "round"), plural(h.Threads, "thread")}
	if h.Rate > 0 {
		parts = append(parts, fmt.Sprintf("open loop at %s operations per second", Number(h.Rate)))
	}
	parts = append(parts, either(h.Sync, "commits survive power loss", "commits survive the death of the process"))
	if h.Cold {
		parts = append(parts, "cold cache")
	}
	if h.Budget != nil {
		parts = append(parts, BudgetText(h.Budget))
	}
	return append(parts, either(h.Verify, "every answer verified", "answers not verified"), fmt.Sprintf("seed %d", h.Seed))
}

func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// tail prints what a reader of the figures has to know.
func (t *table) tail() {
	if len(t.summaries) == 0 {
		t.printf("\nNothing was measured.\n")
		return
	}
	t.printf("\n%s", notes)
	if t.kinds {
		t.printf("Indented lines are of one kind of operation in a workload that has several.\n")
	}
	if len(t.ratios) > 0 {
		text := fmt.Sprintf("rate against %s is the rate divided by its rate in the same round, the geometric mean over rounds",
			t.options.Baseline)
		if t.ratios[0].Interval || slices.ContainsFunc(t.ratios, func(r result.Ratio) bool { return r.Interval }) {
			text += fmt.Sprintf(", with the interval that holds the true ratio with %s confidence", Percent(t.options.Confidence))
		}
		t.printf("%s", wrapped("", text+".", 0))
	}
	if t.marked {
		t.printf("! stands for fewer rounds than there should be: see below.\n")
	}
	t.lost()
	t.remarks()
	t.stalls()
	if t.options.Settings {
		t.settings()
	}
	switch f := t.run.Footer; {
	case f == nil:
		t.printf("\nTHE RUN WAS CUT OFF: these are its results so far.\n")
	case f.Error != "":
		t.printf("\n%s", wrapped("THE RUN ENDED EARLY: ", oneLine(f.Error), 2))
	case f.Partial:
		t.printf("\nTHE RUN WAS INTERRUPTED: these are its results so far.\n")
	}
}

// lost lists what was not measured, with the reasons, the same reasons together.
func (t *table) lost() {
	type loss struct{ what, reason string }
	var order []loss
	where := make(map[loss][]string)
	for i := range t.summaries {
		s := &t.summaries[i]
		for _, l := range s.Lost {
			key := loss{"interrupted", ""}
			switch {
			case l.Skipped:
				key = loss{"skipped", l.Reason}
			case l.Wrong:
				key = loss{"WRONG ANSWER", l.Reason}
			case l.Reason != "interrupted":
				key = loss{"failed", l.Reason}
			}
			place := fmt.Sprintf("%s on %s", s.Workload, s.Engine)
			if !l.Skipped {
				place = fmt.Sprintf("%s on %s (%s, round %d)", s.Workload, s.Engine, s.Set, l.Round)
			}
			if _, ok := where[key]; !ok {
				order = append(order, key)
			}
			if !slices.Contains(where[key], place) {
				where[key] = append(where[key], place)
			}
		}
	}
	if len(order) > 0 {
		t.printf("\n")
	}
	for _, key := range order {
		text := strings.Join(where[key], ", ")
		if key.reason != "" {
			text += ": " + oneLine(key.reason)
		}
		t.printf("%s", wrapped(key.what+": ", text, 2))
	}
}

// stalls tells which phases stood still, and what their engines said about it.
func (t *table) stalls() {
	first := true
	for i := range t.summaries {
		s := &t.summaries[i]
		n, total, longest, busy := 0, 0.0, 0.0, ""
		for _, p := range s.Phases {
			for _, stall := range p.Stalls {
				n++
				total += stall.Seconds
				if stall.Seconds > longest {
					longest, busy = stall.Seconds, stall.Busy
				}
			}
		}
		if n == 0 {
			continue
		}
		if first {
			t.printf("\nStretches of over 100 ms in which no operation ended:\n")
			first = false
		}
		text := fmt.Sprintf("%s on %s (%s): %s, %s in all, the longest %s", s.Workload, s.Engine, s.Set,
			plural(n, "stall"), seconds(total), seconds(longest))
		if busy != "" {
			text += " (" + oneLine(busy) + ")"
		}
		t.printf("%s", wrapped("  ", text, 4))
	}
}

// settings lists what the adapters chose.
func (t *table) settings() {
	for _, e := range t.run.Engines {
		t.printf("\nSettings of %s:\n", e.Name)
		for _, s := range e.Settings {
			text := fmt.Sprintf("%s = %s", s.Name, s.Value)
			if s.Why != "" {
				text += ": " + s.Why
			}
			t.printf("%s", wrapped("  ", text, 4))
		}
	}
}
