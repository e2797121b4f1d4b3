package measure

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

func TestBucketsCoverAllLatenciesWithoutGap(t *testing.T) {
	end := time.Duration(-1)
	for i := range intervalBuckets {
		if got := bucket(end + 1); got != i {
			t.Fatalf("%v is in bucket %d, want %d", end+1, got, i)
		}
		first := end + 1
		if end = bucketEnd(i); bucket(end) != i {
			t.Fatalf("bucket %d ends at %v, which is in %d", i, end, bucket(end))
		}
		if width := end - first; width > first/intervalParts {
			t.Fatalf("bucket %d from %v is %v wide", i, first, width)
		}
		if end >= result.LatencyMax {
			break
		}
	}
	if end < result.LatencyMax {
		t.Fatalf("the last bucket ends at %v", end)
	}
	if bucket(1000*time.Hour) != bucket(result.LatencyMax) {
		t.Error("longer ones than the longest have another bucket")
	}
}

func TestPercentilesOfAnIntervalAreRight(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 2, 100, 5000} {
		var halves [2]interval
		var all []time.Duration
		for i := range n {
			latency := time.Duration(random.ExpFloat64() * float64(50*time.Microsecond))
			halves[i%2].record(latency)
			all = append(all, latency)
		}
		slices.Sort(all)
		v := &halves[0]
		v.merge(&halves[1])
		if v.operations != uint64(n) || v.longest != all[n-1] || v.at(100) != all[n-1] {
			t.Errorf("%d: %d counted, longest %v, want %v", n, v.operations, v.longest, all[n-1])
		}
		for _, percent := range []float64{50, 99} {
			want := all[max(int(float64(n)*percent/100+0.5), 1)-1]
			if got := v.at(percent); got < want || got > want+want/intervalParts {
				t.Errorf("%d: p%g %v, want %v", n, percent, got, want)
			}
		}
	}
	if p := new(interval).at(99); p != 0 {
		t.Errorf("p99 of nothing: %v", p)
	}
}
