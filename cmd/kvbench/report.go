package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// The tables fit into 100 columns.
var phaseColumns = []column{
	{"phase", 16}, {"operations", 10}, {"ops/s", 10}, {"MB/s", 6}, {"p50", 6}, {"p99", 6},
	{"p99.9", 6}, {"max", 6}, {"CPU/op", 6}, {"allocs/op", 9}, {"peak MiB", 8},
}

var writtenColumns = []column{
	{"after", 12}, {"settled", 8}, {"written/put", 11}, {"WAL", 5}, {"values", 6}, {"flush", 6},
	{"compact", 7}, {"GC", 5}, {"disk/live", 9}, {"on disk", 8}, {"store memory", 12},
}

const phaseNotes = `Rates and latencies are those of the calls. Latencies of scans are means over runs of 64 entries;
those of seekrandom are of the whole walk, checking included. CPU and allocations are the whole
process's, checking included; those of phases that write include settling. Peak is the largest
resident memory of the process during the phase. MB are a million bytes of keys and values.

`

const writtenNotes = `Settled is how long it took after the last write until all was in tables and no compaction was due.
By then the store had written so many bytes for each byte put: in total, to the WAL, to the value
log, by flushes, by compactions, by garbage collection. Store memory is that of memtables, cache,
filters and indexes.

`

func printMachine(out io.Writer, c *config) {
	durability := "Commits survive the death of the process (-sync: power loss)."
	if c.sync {
		durability = "Commits survive power loss."
	}
	fmt.Fprintf(out, "Cordwood on %s/%s, %d processors, %s; %d threads, seed %d.\n%s\n",
		runtime.GOOS, runtime.GOARCH, runtime.GOMAXPROCS(0), runtime.Version(), c.threads, c.seed, durability)
}

// printSet prints the tables of one set.
func printSet(out io.Writer, title string, results []result) {
	fmt.Fprintf(out, "\n%s\n\n%s\n", title, headLine(phaseColumns))
	for _, r := range results {
		fmt.Fprintln(out, tableLine(phaseColumns, phaseCells(r)))
	}
	head := false
	for _, r := range results {
		if r.Written == nil {
			continue
		}
		if !head {
			fmt.Fprintf(out, "\n%s\n", headLine(writtenColumns))
			head = true
		}
		fmt.Fprintln(out, tableLine(writtenColumns, writtenCells(r)))
	}
}

// printMemory tells what a store holds in memory at the end of a set.
func printMemory(out io.Writer, m db.Metrics) {
	fmt.Fprintf(out, "\nStore memory at the end: memtables %s, cached blocks %s, filters and indexes %s.\n",
		size(uint64(m.MemtableBytes)), size(uint64(m.CacheBytes)), size(uint64(m.PinnedBytes)))
	if lookups := m.CacheHits + m.CacheMisses; lookups > 0 {
		fmt.Fprintf(out, "%.1f%% of %s lookups of blocks found them in the cache.\n",
			100*float64(m.CacheHits)/float64(lookups), count(lookups))
	}
}

func phaseCells(r result) []string {
	cpu, allocs, peak := "-", threeDigits(r.AllocsPerOperation), "-"
	if r.CPUMicrosPerOperation > 0 {
		cpu = short(time.Duration(r.CPUMicrosPerOperation * 1e3))
	}
	if r.PeakBytes > 0 {
		peak = fmt.Sprintf("%.0f", float64(r.PeakBytes)/(1<<20))
	}
	if r.side {
		cpu, allocs, peak = "", "", ""
	}
	return []string{
		r.Phase, count(r.Operations), count(uint64(r.perSecond(float64(r.Operations)))),
		threeDigits(r.perSecond(float64(r.Bytes)) / 1e6),
		short(r.P50), short(r.P99), short(r.P999), short(r.Max), cpu, allocs, peak,
	}
}

func writtenCells(r result) []string {
	w := r.Written
	part := func(bytes uint64) string { return threeDigits(ratio(bytes, w.UserBytes)) }
	return []string{
		r.Phase, threeDigits(w.SettleSeconds) + "s", threeDigits(w.perByte()),
		part(w.WAL), part(w.ValueLog), part(w.Flushed), part(w.Compacted), part(w.Collected),
		threeDigits(w.diskPerLive()), size(w.DiskBytes), size(uint64(w.StoreBytes)),
	}
}

// writeJSON writes one object for each phase, one a line.
func writeJSON(out io.Writer, results []result) error {
	encoder := json.NewEncoder(out)
	for _, r := range results {
		line := struct {
			result
			OpsPerSecond float64 `json:"ops_per_second"`
			MBPerSecond  float64 `json:"mb_per_second"`
			WrittenPer   float64 `json:"written_per_byte_put,omitempty"`
			DiskPerLive  float64 `json:"disk_per_live_byte,omitempty"`
		}{result: r, OpsPerSecond: r.perSecond(float64(r.Operations)), MBPerSecond: r.perSecond(float64(r.Bytes)) / 1e6}
		if r.Written != nil {
			line.WrittenPer, line.DiskPerLive = r.Written.perByte(), r.Written.diskPerLive()
		}
		if err := encoder.Encode(line); err != nil {
			return err
		}
	}
	return nil
}
