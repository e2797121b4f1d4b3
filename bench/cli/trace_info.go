package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/bench/report"
	"github.com/cordwood-db/cordwood/bench/trace"
)

// traceInfo prints what is in a trace. One that is damaged is told about as far as
// it is whole, and is a failure.
func (a *app) traceInfo(path string) error {
	f, err := trace.Info(path)
	if err != nil {
		return err
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %-12s %s\n", name, fmt.Sprintf(format, args...))
	}
	fmt.Fprintf(&b, "%s\n", f.Path)
	line("recorded", "%s, for %s", f.Started.Local().Format(time.DateTime), report.Duration(f.Duration))
	switch {
	case f.Torn:
		line("end", "cut off: %s", f.Problem)
	case !f.Whole && f.Damage == nil:
		line("end", "missing: the recorder was not closed")
	}
	line("operations", "%s, %s lost; %s failed", report.Count(f.Operations), report.Count(f.Lost), report.Count(f.Failed))
	if f.Duration > 0 {
		line("rate", "%s ops/s, %s under way at once on average", report.Number(float64(f.Operations)/f.Duration.Seconds()),
			report.Number(f.Concurrency))
	}
	line("size", "%s, %s an operation", report.Size(float64(f.Bytes)), report.Size(f.BytesEach))
	line("clients", "%d, in %d keyspaces", f.Clients, f.Keyspaces)
	more, hashed := "", ""
	if f.KeysMore {
		more = " or more"
	}
	if f.Hashed {
		hashed = ", hashed"
	}
	line("keys", "%s%s%s; %s of accesses go to the busiest 1%%", report.Count(f.Keys), more, hashed, report.Percent(f.Top))
	line("key length", "%s", lengths(f.KeyBytes))
	line("written", "%s values, %s", report.Count(f.ValueBytes.Count), lengths(f.ValueBytes))
	line("read", "%s keys, %s of them found, %s", report.Count(f.Reads), report.Count(f.Found), lengths(f.ReadBytes))
	line("scanned", "%s entries", report.Count(f.Scanned))
	fmt.Fprintf(&b, "\n  %-20s %12s %10s %10s\n", "kind", "operations", "mean", "max")
	for _, k := range f.Kinds {
		fmt.Fprintf(&b, "  %-20s %12s %10s %10s\n", k.Kind, report.Count(k.Count), report.Duration(k.Mean), report.Duration(k.Max))
	}
	if f.Items > 0 {
		fmt.Fprintf(&b, "\n  Batches and transactions hold %s items.\n", report.Count(f.Items))
	}
	if _, err := fmt.Fprint(a.stdout, b.String()); err != nil {
		return err
	}
	return f.Damage
}

// lengths tells about lengths of keys or values.
func lengths(l trace.Lengths) string {
	switch {
	case l.Count == 0:
		return "none"
	case l.Min == l.Max:
		return report.Size(float64(l.Min)) + " each"
	}
	return fmt.Sprintf("%s to %s, mean %s", report.Size(float64(l.Min)), report.Size(float64(l.Max)), report.Size(l.Mean()))
}
