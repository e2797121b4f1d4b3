package result

import (
	"bytes"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// sample returns a copy of a run of three engines, three rounds, four workloads
// and two sets with everything that a file can hold, as read from its file. It is
// what testdata/run-v1.jsonl holds.
func sample() *Run {
	run, err := ReadRun(bytes.NewReader(sampleFile()))
	if err != nil {
		panic(err)
	}
	return run
}

var sampleFile = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	if err := WriteRun(&b, makeSample()); err != nil {
		panic(err)
	}
	return b.Bytes()
})

// makeSample makes the run, the same each time.
func makeSample() *Run {
	started := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	run := &Run{
		Header: Header{
			Format: Format, Started: started, Command: []string{"compare", "-rounds", "3"}, Title: "a sample",
			Machine: Machine{OS: "linux", Arch: "amd64", Kernel: "6.1.0", CPU: "Example CPU @ 2.00GHz", Processors: 2,
				MemoryBytes: 8 << 30, Dir: "/tmp", FileSystem: "ext4", Device: "/dev/vda", FreeBytes: 60 << 30,
				FsyncP50NS: 1_200_000, FsyncP99NS: 4_800_000, GoVersion: "go1.26.0", Load: 0.31},
			Engines: []Engine{
				{Name: "cordwood", Title: "Cordwood", Version: "0123456789ab", Settings: []Setting{
					{"MemtableBytes", "64 MiB", "equal for all"}, {"CacheBytes", "256 MiB", "equal for all"}}},
				{Name: "pebble", Title: "Pebble", Version: "v2.1.0", Settings: []Setting{
					{"MemTableSize", "64 MiB", "equal for all"}, {"L0CompactionThreshold", "2", "cockroachdb's own setting"}}},
				{Name: "bbolt", Title: "bbolt", Version: "v1.4.3", Settings: []Setting{
					{"NoSync", "true", "durability of a process's death"}}},
			},
			Sets: []Set{
				{Name: "100", Keys: 1_000_000, KeyBytes: 16, Values: "100", ValueBytesMean: 100, Compressibility: 0.5},
				{Name: "1KiB", Keys: 200_000, KeyBytes: 16, Values: "1KiB", ValueBytesMean: 1024, Compressibility: 0.5},
			},
			Rounds: 3, Threads: 2, Verify: true, Seed: 1,
		},
		Footer: &Footer{Ended: started.Add(40 * time.Minute), Partial: true, Error: "ycsb-a of bbolt failed"},
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for round := 1; round <= run.Rounds; round++ {
		for _, set := range run.Sets {
			for i := range run.Engines {
				engine := run.Engines[(i+round-1)%len(run.Engines)].Name // rotated
				for _, workload := range []string{"fillrandom", "readrandom", "ycsb-a", "ttlchurn"} {
					p := samplePhase(rng, engine, &set, workload, round)
					started = started.Add(time.Minute)
					p.Started = started
					run.Phases = append(run.Phases, p)
				}
			}
		}
	}
	return run
}

func samplePhase(rng *rand.Rand, engine string, set *Set, workload string, round int) Phase {
	p := Phase{Engine: engine, Set: set.Name, Workload: workload, Round: round, Threads: 2}
	switch {
	case workload == "ttlchurn" && engine != "cordwood":
		p.Skipped = "needs TTL"
		return p
	case workload == "ycsb-a" && engine == "bbolt" && round == 2 && set.Name == "100":
		p.Failed, p.Wrong = `WRONG ANSWER for key "user7": a value of another key`, true
	}
	slow := map[string]float64{"cordwood": 1, "pebble": 1.2, "bbolt": 4}[engine] * math.Exp(0.05*rng.NormFloat64())
	entry := uint64(16 + set.ValueBytesMean)
	kind := func(name string, class Class, n uint64, median time.Duration) {
		k := Kind{Name: name, Class: class, Operations: n, Items: n}
		const draws = 200
		for range draws {
			k.Latency.Record(time.Duration(float64(median)*slow*math.Exp(0.5*rng.NormFloat64())), int(n/draws))
		}
		k.Latency.Record(time.Duration(float64(median)*slow), int(n-k.Latency.Count()))
		p.Kinds = append(p.Kinds, k)
		p.Operations += n
	}
	n := uint64(set.Keys)
	switch workload {
	case "fillrandom":
		kind("write", Write, n, 3*time.Microsecond)
		p.UserBytes, p.LiveBytes = n*entry, n*entry
		p.Costs.WrittenBytes = int64(float64(n*entry) * 2.1 * slow)
		p.Costs.WriteCalls = p.Costs.WrittenBytes
		p.SettleSeconds = 1.5 * slow
		p.Stalls = []Stall{{At: 1.25, Seconds: 0.15 * slow, Busy: "L0 has 21 files"}}
	case "readrandom":
		kind("read", Read, n, 2*time.Microsecond)
		p.Kinds[0].NotFound = n / 100
		p.Costs.ReadBytes, p.Costs.ReadCalls = int64(n*20), int64(n*40)
	case "ycsb-a":
		kind("read", Read, n/2, 2*time.Microsecond)
		kind("update", Write, n/2, 5*time.Microsecond)
		p.UserBytes, p.LiveBytes = n/2*entry, n*entry
		p.Costs.WrittenBytes, p.Costs.ReadBytes = int64(n*entry), int64(n)
		p.Retries = 12
	case "ttlchurn":
		kind("put", Write, n/10, 4*time.Microsecond)
		p.Rate = 50_000
		service := NewHistogram()
		service.Merge(p.Kinds[0].Latency)
		p.Kinds[0].Service = &service
		p.UserBytes, p.LiveBytes = n/10*entry, n/20*entry
		p.Counters = map[string]float64{"compactions": 4}
		p.CacheResident = new(0.02)
	}
	p.Seconds = float64(p.Operations) * 3e-6 * slow
	p.WarmupSeconds = 0.5
	p.Bytes, p.Verified = p.Operations*entry, p.Operations
	p.Costs.CPUNS = int64(float64(p.Operations) * 4000 * slow)
	p.Costs.Allocations, p.Costs.AllocatedBytes = p.Operations*2, p.Operations*160
	p.Costs.PeakBytes, p.Costs.ClientBytes = int64(200<<20*slow), 30<<20
	p.Costs.DiskBytes = int64(float64(p.LiveBytes) * 1.1 * slow)
	p.Costs.VerifyNS, p.Costs.PrepareNS = 55, 40
	p.SpeedNS = int64(30e6 * math.Exp(0.02*rng.NormFloat64()))
	for at := 1.0; at <= min(p.Seconds, 5); at++ {
		p.Timeline = append(p.Timeline, Second{At: at, Operations: uint64(float64(p.Operations) / p.Seconds),
			P50NS: 2000, P99NS: 9000, MaxNS: 200_000})
	}
	return p
}
