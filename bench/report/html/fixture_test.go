package html

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// fixture describes a synthetic run.
type fixture struct {
	engines, sets, workloads []string
	rounds, seconds          int
	open                     bool // open loop
	kinds, samples           int  // samples: of each histogram
}

func usual() fixture {
	return fixture{
		engines:   []string{"cordwood", "badger", "pebble", "pebble-valsep", "goleveldb", "bbolt"},
		sets:      []string{"100", "1KiB"},
		workloads: []string{"fillrandom", "readrandom", "ycsb-a", "ttl-churn", "fillsync"},
		rounds:    3, seconds: 24, kinds: 2, samples: 4000,
	}
}

// small is quick to make and to report.
func small() fixture {
	return fixture{engines: []string{"cordwood", "badger"}, sets: []string{"100"},
		workloads: []string{"fillrandom", "readrandom"}, rounds: 3, seconds: 3, kinds: 1, samples: 500}
}

// run makes the run: every engine has strengths of its own, one stalls, one is
// skipped, one fails in a round, one answers wrongly.
func (f fixture) run() *result.Run {
	r := &result.Run{Header: result.Header{
		Format: result.Format, Started: time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC),
		Command: []string{"kvbench", "compare", "--engines", "cordwood,badger", "--values", "1KiB", "--title", "it's two words"},
		Title:   "Six engines on one machine", Rounds: f.rounds, Threads: 2, Verify: true, Seed: 42,
		Machine: result.Machine{OS: "linux", Arch: "amd64", Kernel: "6.8.0", CPU: "AMD EPYC 7B13", Processors: 2,
			MemoryBytes: 8 << 30, Dir: "/tmp/bench", FileSystem: "ext4", Device: "nvme0n1", FreeBytes: 90 << 30,
			FsyncP50NS: 812_000, FsyncP99NS: 2_900_000, GoVersion: "go1.26.0", Load: 0.13},
	}, Footer: &result.Footer{Partial: true}}
	for i, e := range f.engines {
		r.Engines = append(r.Engines, result.Engine{Name: e, Title: "Engine " + e, Version: fmt.Sprintf("v%d.2.3", i),
			Settings: []result.Setting{{Name: "BlockCacheSize", Value: "256 MiB", Why: "equal for all"},
				{Name: "NumCompactors", Value: "2", Why: "the documentation advises one for each processor"}}})
	}
	for _, s := range f.sets {
		r.Sets = append(r.Sets, result.Set{Name: s, Keys: 1_000_000, KeyBytes: 16, Values: s, ValueBytesMean: 562, Compressibility: 0.5})
	}
	random := rand.New(rand.NewPCG(1, 2))
	for round := 1; round <= f.rounds; round++ {
		for i := range f.engines {
			e := (i + round - 1) % len(f.engines) // rounds rotate
			for s, set := range f.sets {
				for w, name := range f.workloads {
					r.Phases = append(r.Phases, f.phase(random, e, s, w, round, set, name))
				}
			}
		}
	}
	return r
}

func (f fixture) phase(random *rand.Rand, e, s, w, round int, set, workload string) result.Phase {
	p := result.Phase{Engine: f.engines[e], Set: set, Workload: workload, Round: round, Threads: 2,
		Started: time.Date(2026, 3, 14, 10, round, w, 0, time.UTC), SpeedNS: 30_000_000 + random.Int64N(2_000_000)}
	switch {
	case workload == "ttl-churn" && e >= 4:
		p.Skipped = "needs TTL"
		return p
	case workload == "fillsync" && e == 3 && round == 2 && s == 0:
		p.Failed = "opening the store: no space left on device"
		return p
	case workload == "ycsb-a" && e == 5 && s == 0:
		p.Failed, p.Wrong, p.Operations, p.Seconds = `WRONG ANSWER for key "user1": an older value`, true, 1000, 1
		return p
	}
	// What the engine takes for an operation, in µs.
	base := []float64{4, 6, 5, 5.5, 9, 14}[e%6] * []float64{1, 0.7, 1.3, 2, 60}[w%5] * (1 + 0.5*float64(s))
	base *= math.Exp(0.5*math.Sin(float64(3*e+2*w+s))) * (1 + 0.06*random.Float64())
	spread := 0.35 + 0.12*float64(e%3)
	latency := func() time.Duration {
		us := base * math.Exp(spread*random.NormFloat64())
		if random.Float64() < 0.002 {
			us *= 20 + 300*random.Float64()
		}
		return time.Duration(us * 1e3)
	}
	p.Seconds = float64(f.seconds) + 0.4*random.Float64()
	for second := range f.seconds {
		n := uint64(2e6 / base * (0.9 + 0.2*random.Float64()))
		if e == 1 && w == 0 && second%9 == 5 {
			p.Stalls = append(p.Stalls, result.Stall{At: float64(second) + 0.2, Seconds: 0.15 + 0.5*random.Float64(), Busy: "memtables full"})
			n /= 2
		}
		p.Operations += n
		p.Timeline = append(p.Timeline, result.Second{At: float64(second + 1), Operations: n, P50NS: int64(base * 1e3),
			P99NS: int64(base * 2500 * (0.8 + random.Float64())), MaxNS: int64(base * 1e5 * (0.3 + random.Float64()))})
	}
	if e == 4 && w == 2 && round == 1 {
		p.Stalls = append(p.Stalls, result.Stall{At: 3.3, Seconds: 2.4, Busy: "L0 has 21 files"})
	}
	for k := range f.kinds {
		kind := result.Kind{Name: []string{"read", "update"}[k%2], Class: []result.Class{result.Read, result.Write}[k%2],
			Operations: p.Operations / uint64(f.kinds), Items: p.Operations / uint64(f.kinds)}
		for range f.samples {
			kind.Latency.Record(latency()*time.Duration(k+1), 10)
		}
		if f.open {
			service := result.NewHistogram()
			service.Record(latency(), 100)
			kind.Service = &service
		}
		p.Kinds = append(p.Kinds, kind)
	}
	p.Verified = p.Operations
	p.Bytes, p.UserBytes, p.LiveBytes = p.Operations*600, p.Operations*600, 600e6
	if workload == "readrandom" {
		p.UserBytes = 0
	}
	p.Costs = result.Costs{CPUNS: int64(base * 1.8e3 * float64(p.Operations)), Allocations: p.Operations * uint64(1+e),
		AllocatedBytes: p.Operations * 700, PeakBytes: int64(400+90*e+random.IntN(30)) << 20, ClientBytes: 60 << 20,
		DiskBytes:    int64(600e6 * (1.1 + 0.2*float64(e) + 0.02*random.Float64())),
		WrittenBytes: int64(float64(p.UserBytes) * (1.5 + 2*float64(e%4) + 0.3*random.Float64())), WriteCalls: 1, ReadCalls: 1}
	p.SettleSeconds = 1.5 * random.Float64()
	return p
}
