package html

import (
	"fmt"
	"html/template"
	"slices"
	"strings"

	"github.com/cordwood-db/cordwood/bench/report"
	"github.com/cordwood-db/cordwood/bench/result"
)

// view is what the template shows.
type view struct {
	Policy        string
	Style         template.CSS
	UPlot, Script template.JS
	Data          template.JS

	Title   string
	Date    string
	Notes   []string // what is wrong with the run as a whole
	Command string
	Facts   []fact
	Engines []engineView
	Absent  []absentView
	Summary []summaryView // by set
	Columns []columnView  // of the summary
	Sets    []setView
}

// fact is a line of the head.
type fact struct{ Name, Value string }

type engineView struct {
	Index                         int
	Name, Title, Version, Program string
	Settings                      []result.Setting
}

// absentView is what was not measured, or not in full.
type absentView struct {
	Index                                    int
	Engine, Set, Workload, What, Why, Rounds string
}

type setView struct {
	Name   string
	Shape  string
	Panels []panelView
}

func (b *book) view(drawn plots) *view {
	v := &view{
		Title:   b.run.Title,
		Date:    moment(b.run.Started),
		Notes:   b.notes(),
		Command: shellLine(b.run.Command),
		Facts:   b.facts(),
		Absent:  b.absent(),
		Columns: columns(),
		Summary: b.summary(),
	}
	if v.Title == "" {
		names := make([]string, len(b.engines))
		for i, e := range b.engines {
			names[i] = e.Name
		}
		v.Title = "kvbench: " + strings.Join(names, ", ")
	}
	for i, e := range b.engines {
		v.Engines = append(v.Engines, engineView{i, e.Name, e.Title, e.Version, e.Program, e.Settings})
	}
	for _, name := range b.sets {
		s := setView{Name: name, Shape: b.shape(name)}
		for _, p := range b.panels {
			if p.set == name {
				s.Panels = append(s.Panels, b.panelView(p, drawn.Panels[p.index]))
			}
		}
		if len(s.Panels) > 0 {
			v.Sets = append(v.Sets, s)
		}
	}
	return v
}

// notes are the reservations that a reader has to know first.
func (b *book) notes() []string {
	var notes []string
	switch f := b.run.Footer; {
	case f == nil:
		notes = append(notes, "The run was cut off: this is what there was until then.")
	case f.Error != "":
		notes = append(notes, "The run ended with an error: "+f.Error)
	case f.Partial:
		notes = append(notes, "The run is not complete: it was interrupted, or a phase failed.")
	}
	wrong := 0
	for _, p := range b.run.Phases {
		if p.Wrong {
			wrong++
		}
	}
	if wrong > 0 {
		notes = append(notes, "Wrong answers ended "+plural(wrong, "phase", "phases")+": see below.")
	}
	if b.run.Rounds < 2 && len(b.engines) > 1 {
		notes = append(notes, "One round tells nothing about chance: ratios have no intervals and no verdicts.")
	}
	return notes
}

// facts are the machine and what is equal for all engines.
func (b *book) facts() []fact {
	m := &b.run.Machine
	var facts []fact
	add := func(name string, parts ...string) {
		if text := join(", ", parts...); text != "" {
			facts = append(facts, fact{name, text})
		}
	}
	add("processor", m.CPU, plural(m.Processors, "processor", "processors")+" used", m.Arch)
	add("memory", known(m.MemoryBytes))
	add("system", join(" ", m.OS, m.Kernel), m.GoVersion)
	add("storage", m.FileSystem, join(" ", prefix("on ", m.Device)), prefix("free ", known(m.FreeBytes)), m.Dir)
	add("fsync of 4 KiB", prefix("p50 ", nanoseconds(m.FsyncP50NS)), prefix("p99 ", nanoseconds(m.FsyncP99NS)))
	add("load before", fmt.Sprintf("%.2f", m.Load))
	add("speed in the run", b.drift())
	for _, s := range b.run.Sets {
		add("data "+s.Name, b.shape(s.Name))
	}
	add("equal for all", b.equal()...)
	return facts
}

// equal lists what the run asked of every engine alike.
func (b *book) equal() []string {
	h := &b.run.Header
	parts := []string{plural(h.Threads, "client thread", "client threads"), plural(h.Rounds, "round", "rounds")}
	if h.Rate > 0 {
		parts = append(parts, "open loop: "+report.Number(h.Rate)+" operations per second are due")
	} else {
		parts = append(parts, "closed loop")
	}
	if h.Budget != nil {
		parts = append(parts, report.BudgetText(h.Budget))
	}
	parts = append(parts,
		either(h.Sync, "commits survive power loss (fsync)", "commits survive the process, not power loss"),
		either(h.Cold, "reads begin with a cold page cache", "reads begin with a warm page cache"),
		either(h.Verify, "every answer verified", "answers not verified"),
		fmt.Sprintf("seed %d", h.Seed), "each engine and round in a process of its own")
	return parts
}

// drift tells how the machine's speed changed, by the fixed work before each phase.
func (b *book) drift() string {
	var least, most int64
	for _, p := range b.run.Phases {
		if p.SpeedNS > 0 {
			most = max(most, p.SpeedNS)
			if least == 0 || p.SpeedNS < least {
				least = p.SpeedNS
			}
		}
	}
	if least == 0 {
		return ""
	}
	return fmt.Sprintf("the same fixed work took %s to %s (+%.0f%%)", nanoseconds(least), nanoseconds(most),
		100*(float64(most)/float64(least)-1))
}

// shape describes a set; empty if the header does not know it.
func (b *book) shape(name string) string {
	for _, s := range b.run.Sets {
		if s.Name == name {
			compressible := ""
			if s.Compressibility > 0 {
				compressible = fmt.Sprintf("compressible to %.0f%%", 100*s.Compressibility)
			}
			return join(", ", plural(s.Keys, "key", "keys")+" of "+report.Size(float64(s.KeyBytes)),
				prefix("values ", s.Values), "mean "+report.Size(s.ValueBytesMean),
				compressible)
		}
	}
	return ""
}

// absent lists rounds that were skipped, failed or cut short; the same reason in
// several rounds is one line.
func (b *book) absent() []absentView {
	var all []absentView
	for _, p := range b.panels {
		for _, e := range p.entries {
			first := len(all)
			for _, l := range e.losses() {
				round := fmt.Sprint(l.Round)
				what := lostWord(l)
				i := slices.IndexFunc(all[first:], func(a absentView) bool { return a.What == what && a.Why == l.Reason })
				if i >= 0 {
					all[first+i].Rounds += ", " + round
					continue
				}
				all = append(all, absentView{e.engine, b.engines[e.engine].Name, p.set, p.workload, what, l.Reason, round})
			}
		}
	}
	return all
}

// losses are the rounds that were not measured in full.
func (e *entry) losses() []result.Lost {
	all := slices.Clone(e.Lost)
	if e.Partial {
		for _, p := range e.Phases {
			all = append(all, result.Lost{Round: p.Round, Reason: "interrupted; measured until then"})
		}
	}
	return all
}

// join joins the parts that are not empty.
func join(separator string, parts ...string) string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, separator)
}

// prefix puts before in front of s unless s is empty.
func prefix(before, s string) string {
	if s == "" {
		return ""
	}
	return before + s
}

// known is a size, empty for zero.
func known(bytes int64) string {
	if bytes == 0 {
		return ""
	}
	return report.Size(float64(bytes))
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return report.Count(uint64(max(n, 0))) + " " + many
}

func either(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
