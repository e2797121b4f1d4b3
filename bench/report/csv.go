package report

import (
	"encoding/csv"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// kindAll stands in CSV for all kinds of operations together.
const kindAll = "all"

// csvHead are the columns before those of result.Metrics. Part of the file format:
// columns may be added at the end, none goes.
var csvHead = []string{"started", "engine", "set", "workload", "round", "kind", "class", "status", "reason", "threads",
	"due_per_s", "seconds", "warmup_s", "operations", "items", "not_found", "verified", "retries", "bytes", "user_bytes",
	"live_bytes", "speed_ns", "cache_resident", "notes"}

// CSV writes a run for spreadsheets and data frames, as RFC 4180 has it: a header
// and lines that end in CR LF. Each phase has a row of the kind "all" with what
// belongs to the whole phase, and a row for each kind of operation with what is
// known for kinds. The columns are
//
//   - started (RFC 3339), engine, set, workload, round: which phase
//   - kind, class: "all" without a class, or a kind of operation
//   - status: ok, partial, skipped, failed or wrong; reason: why it is not ok
//   - threads, due_per_s (of an open loop), seconds, warmup_s, operations, items,
//     not_found, verified, retries, bytes, user_bytes, live_bytes, speed_ns,
//     cache_resident, notes: as in result.Phase and result.Kind
//   - one column for each of result.Metrics, by its name, in its unit
//
// What is not known is empty. Its error is that of w.
func CSV(w io.Writer, run *result.Run) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	head := slices.Clone(csvHead)
	for _, m := range result.Metrics() {
		head = append(head, m.Name)
	}
	if err := out.Write(head); err != nil {
		return err
	}
	for i := range run.Phases {
		p := &run.Phases[i]
		if err := out.Write(phaseRecord(p)); err != nil {
			return err
		}
		for j := range p.Kinds {
			if err := out.Write(kindRecord(p, &p.Kinds[j])); err != nil {
				return err
			}
		}
	}
	out.Flush()
	return out.Error()
}

// phaseRecord is the row of a whole phase.
func phaseRecord(p *result.Phase) []string {
	items, notFound := uint64(0), uint64(0)
	for i := range p.Kinds {
		items += p.Kinds[i].Items
		notFound += p.Kinds[i].NotFound
	}
	record := identity(p, kindAll, "")
	if p.Skipped != "" {
		return append(record, make([]string, len(csvHead)-len(record)+len(result.Metrics()))...)
	}
	record = append(record, strconv.Itoa(p.Threads), known(p.Rate), decimal(p.Seconds), decimal(p.WarmupSeconds),
		whole(p.Operations), whole(items), whole(notFound), whole(p.Verified), whole(p.Retries), whole(p.Bytes),
		whole(p.UserBytes), whole(p.LiveBytes), known(float64(p.SpeedNS)))
	resident := ""
	if p.CacheResident != nil {
		resident = decimal(*p.CacheResident)
	}
	return appendMetrics(append(record, resident, strings.Join(p.Notes, "; ")), p.Values())
}

// kindRecord is the row of a kind.
func kindRecord(p *result.Phase, k *result.Kind) []string {
	record := append(identity(p, k.Name, string(k.Class)), strconv.Itoa(p.Threads), "", decimal(p.Seconds),
		decimal(p.WarmupSeconds), whole(k.Operations), whole(k.Items), whole(k.NotFound), "", "", "", "", "", "", "", "")
	return appendMetrics(record, kindValues(p, k))
}

// kindValues are the metrics that a kind has, as if the phase had no other.
func kindValues(p *result.Phase, k *result.Kind) map[string]float64 {
	alone := result.Phase{Seconds: p.Seconds, Operations: k.Operations, Kinds: []result.Kind{*k}}
	values := alone.Values()
	for _, m := range result.Metrics() {
		if !m.Scoped {
			delete(values, m.Name)
		}
	}
	return values
}

// identity are the first columns, up to the reason.
func identity(p *result.Phase, kind, class string) []string {
	status, reason := "ok", ""
	switch {
	case p.Skipped != "":
		status, reason = "skipped", p.Skipped
	case p.Wrong:
		status, reason = "wrong", p.Failed
	case p.Failed != "":
		status, reason = "failed", p.Failed
	case p.Partial:
		status, reason = "partial", "interrupted"
	}
	started := ""
	if !p.Started.IsZero() {
		started = p.Started.UTC().Format(time.RFC3339)
	}
	return []string{started, p.Engine, p.Set, p.Workload, strconv.Itoa(p.Round), kind, class, status, reason}
}

func appendMetrics(record []string, values map[string]float64) []string {
	for _, m := range result.Metrics() {
		text := ""
		if v, ok := values[m.Name]; ok {
			text = decimal(v)
		}
		record = append(record, text)
	}
	return record
}

func whole(n uint64) string { return strconv.FormatUint(n, 10) }

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// known is decimal of what is not known if it is 0.
func known(v float64) string {
	if v == 0 {
		return ""
	}
	return decimal(v)
}
