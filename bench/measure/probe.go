package measure

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// Probe looks at the machine, at the file system of dir, which has to be there,
// and at how fast it syncs: for that it appends to a new file in dir and removes
// it, which takes two seconds at most. What is not known stays empty. It fails if
// that file cannot be written or ctx is cancelled; what it returns then lacks only
// the times of syncing.
func Probe(ctx context.Context, dir string) (result.Machine, error) {
	m := result.Machine{
		OS:         runtime.GOOS,
		Arch:       runtime.GOARCH,
		Processors: runtime.GOMAXPROCS(0),
		GoVersion:  runtime.Version(),
		Dir:        dir,
	}
	if absolute, err := filepath.Abs(dir); err == nil {
		m.Dir = absolute
	}
	probeSystem(&m)
	probeVolume(&m, m.Dir)
	times, err := syncTimes(ctx, dir)
	if err != nil {
		return m, fmt.Errorf("trying how fast %s syncs: %w", dir, err)
	}
	m.FsyncP50NS, m.FsyncP99NS = int64(rank(times, 50)), int64(rank(times, 99))
	return m, nil
}

const (
	syncBytes   = 4 << 10
	syncCount   = 200
	syncTimeMax = 2 * time.Second
)

// syncTimes appends blocks to a file in dir, each synced, and returns how long
// each took, the shortest first; at least one.
func syncTimes(ctx context.Context, dir string) (times []time.Duration, err error) {
	f, err := os.CreateTemp(dir, "kvbench-fsync-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(f.Name())) }()
	block := make([]byte, syncBytes)
	for i := range block {
		block[i] = byte(i*i>>3 ^ i) // no zeros: file systems may leave those out
	}
	clock := RealClock()
	for len(times) < syncCount && (len(times) == 0 || clock.Now() < syncTimeMax) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		began := clock.Now()
		if _, err := f.Write(block); err != nil {
			return nil, err
		}
		if err := f.Sync(); err != nil {
			return nil, err
		}
		times = append(times, clock.Now()-began)
	}
	slices.Sort(times)
	return times, nil
}

// rank is the smallest of the sorted times that percent of them do not exceed.
func rank(sorted []time.Duration, percent int) time.Duration {
	return sorted[max((len(sorted)*percent+99)/100, 1)-1]
}
