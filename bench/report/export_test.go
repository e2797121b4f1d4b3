package report

import (
	"bytes"
	"encoding/csv"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/result"
)

func TestCSV(t *testing.T) {
	run := saved(t)
	run.Phases[1].Partial = true
	run.Phases[2].Failed = "no space,\n\"really\""
	var b bytes.Buffer
	if err := CSV(&b, run); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\r\n"); n != strings.Count(b.String(), "\n") {
		t.Errorf("of %d lines %d end in CR LF", strings.Count(b.String(), "\n"), n)
	}
	records, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	head := records[0]
	rows := 1
	for i := range run.Phases {
		rows += 1 + len(run.Phases[i].Kinds)
	}
	if len(records) != rows || len(head) != len(csvHead)+len(result.Metrics()) {
		t.Errorf("%d rows of %d columns, want %d", len(records), len(head), rows)
	}
	field := func(record []string, name string) string { return record[slices.Index(head, name)] }
	statuses := make(map[string]int)
	next := 1
	for i := range run.Phases {
		p := &run.Phases[i]
		all := records[next]
		next++
		statuses[field(all, "status")]++
		if field(all, "kind") != "all" || field(all, "engine") != p.Engine || field(all, "round") != strconv.Itoa(p.Round) {
			t.Fatalf("row %d is %q", next, all)
		}
		for name, v := range p.Values() {
			if strings.Contains(name, ".") {
				continue
			}
			if got, err := strconv.ParseFloat(field(all, name), 64); err != nil || got != v {
				t.Errorf("%s of %s is %q, want %g", name, p.Workload, field(all, name), v)
			}
		}
		sum := 0.0
		for j := range p.Kinds {
			kind := records[next]
			next++
			rate, _ := strconv.ParseFloat(field(kind, "rate"), 64)
			sum += rate
			if field(kind, "kind") != p.Kinds[j].Name || field(kind, "class") != string(p.Kinds[j].Class) || field(kind, "cpu_us") != "" ||
				field(kind, "p99_us") == "" {
				t.Errorf("row %d is %q", next, kind)
			}
		}
		if rate, _ := strconv.ParseFloat(field(all, "rate"), 64); sum < rate*0.999 || sum > rate*1.001 {
			t.Errorf("the rates of kinds add up to %g, that of all is %g", sum, rate)
		}
	}
	if statuses["skipped"] != 12 || statuses["wrong"] != 1 || statuses["partial"] != 1 || statuses["failed"] != 1 || statuses["ok"] != 57 {
		t.Errorf("%v", statuses)
	}
	if got := field(records[5], "reason"); !strings.Contains(b.String()+got, "no space,\n\"really\"") {
		t.Errorf("reason %q", got)
	}
}

func TestGoBench(t *testing.T) {
	run := filtered(saved(t), func(p *result.Phase) bool { return p.Set == "100" })
	run.Engines[1].Name = "cordwood@./old kvbench"
	for i := range run.Phases {
		if p := &run.Phases[i]; p.Engine == "bbolt" {
			p.Engine = "cordwood@./old kvbench"
		}
	}
	run.Phases[1].Partial = true
	var b bytes.Buffer
	if err := GoBench(&b, run); err != nil {
		t.Fatal(err)
	}
	golden(t, "gobench.txt", b.Bytes())
	for line := range strings.Lines(b.String()) {
		fields := strings.Fields(line)
		if !strings.HasPrefix(line, "Benchmark") {
			continue
		}
		if len(fields)%2 != 0 || fields[3] != "ns/op" {
			t.Errorf("not a line of values with units: %s", line)
		}
		if n, err := strconv.ParseUint(fields[1], 10, 63); err != nil || n == 0 {
			t.Errorf("%q operations: %s", fields[1], line)
		}
		for i := 2; i < len(fields); i += 2 {
			if _, err := strconv.ParseFloat(fields[i], 64); err != nil || strings.ContainsAny(fields[i], "eE") {
				t.Errorf("value %q: %s", fields[i], line)
			}
		}
	}
}

func TestVerdicts(t *testing.T) {
	objectives, err := result.ParseObjectives("readrandom:read.p99<=7us,fillrandom:write.rate>=100k,fillrandom:memory<=210MiB," +
		"fillrandom:stalls<=0,ycsb-a:update.p9999<=1s,rocksdb/p99<=1ms,ttlchurn:max<=1ms,fillrandom:written<=2.3")
	if err != nil {
		t.Fatal(err)
	}
	run := filtered(saved(t), func(p *result.Phase) bool { return p.Set == "100" && (p.Workload != "ttlchurn" || p.Round == 1) })
	for i := range run.Phases {
		if run.Phases[i].Workload == "ttlchurn" {
			run.Phases[i].Partial = true
		}
	}
	var b bytes.Buffer
	if err := Verdicts(&b, result.Judge(run, objectives)); err != nil {
		t.Fatal(err)
	}
	if err := Verdicts(&b, nil); err != nil {
		t.Fatal(err)
	}
	if err := Verdicts(&b, result.Judge(run, objectives[1:2])[:1]); err != nil {
		t.Fatal(err)
	}
	golden(t, "verdicts.txt", b.Bytes())
}

func TestRegressions(t *testing.T) {
	old, slower := saved(t), saved(t)
	for i := range slower.Phases {
		switch p := &slower.Phases[i]; {
		case p.Engine == "pebble" && p.Workload == "readrandom":
			p.Seconds *= 1.5
		case p.Engine == "pebble" && p.Workload == "fillrandom":
			p.Costs.WrittenBytes /= 2
		case p.Engine == "cordwood" && p.Set == "100" && p.Workload == "ycsb-a" && p.Round == 2:
			p.Failed = "no space"
		case p.Engine == "cordwood" && p.Set == "1KiB" && p.Round == 2:
			p.Partial = true
		}
	}
	slower.Machine.Kernel = "6.9.0"
	for i := range slower.Phases {
		slower.Phases[i].SpeedNS = slower.Phases[i].SpeedNS * 11 / 10
	}
	var b bytes.Buffer
	if err := Regressions(&b, result.Regress(old, slower, result.RegressOptions{Limit: 0.05})); err != nil {
		t.Fatal(err)
	}
	golden(t, "regressions.txt", b.Bytes())
	b.Reset()
	if err := Regressions(&b, result.Regress(&result.Run{}, &result.Run{}, result.RegressOptions{})); err != nil {
		t.Fatal(err)
	}
	if want := "0 regressed, 0 inconclusive, 0 improved, 0 fine.\nThe runs have nothing in common that could be compared.\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
}
