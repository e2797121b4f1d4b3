package run

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/trace"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// replayWorkload stands for a trace in plans and results. Package trace makes its
// source.
var replayWorkload = &workload.Workload{
	Name: "replay", Group: "own", Summary: "the operations of a trace", Fresh: true, Writes: true,
	Shares: []workload.Share{{Op: workload.Read, Weight: 1}}, // not used: a mix has to have some
}

// ofTrace makes a plan for a trace one of a single workload on a single set, with
// the shape that the trace has.
func (p *Plan) ofTrace() (*Plan, error) {
	summary, err := trace.Info(p.Settings.Replay.Path)
	if err != nil {
		return nil, err
	}
	traced := *p
	traced.Workloads = []*workload.Workload{replayWorkload}
	traced.Sets = []Set{{Name: filepath.Base(p.Settings.Replay.Path), Keys: int(max(1, summary.Keys)),
		KeyBytes: max(8, min(1024, int(summary.KeyBytes.Mean()))), Compressibility: 0.5,
		Values: strconv.Itoa(max(16, int(summary.ValueBytes.Mean())))}}
	return &traced, nil
}

// replay does the operations of a trace on an empty store, which is filled first
// with what the trace found there.
func (s *stage) replay(ctx context.Context, w *workload.Workload, p *result.Phase) error {
	if err := s.report(w, Loading); err != nil {
		return err
	}
	source, err := trace.NewReplay(s.Settings.Replay.Path, s.store, s.engine.Abilities, trace.ReplayOptions{
		Threads: s.Settings.Threads, Speed: s.Settings.Replay.Speed, Verify: s.Settings.Verify})
	if err != nil {
		return err
	}
	for _, skip := range source.Skipped() {
		p.Notes = append(p.Notes, fmt.Sprintf("%d of the kind %s were left out: %s", skip.Count, skip.Kind, skip.Reason))
	}
	if source.Summary().Torn {
		p.Notes = append(p.Notes, "the trace ends in the middle: it is replayed as far as it goes")
	}
	if keys, bytes := source.Preloaded(); keys > 0 {
		p.Notes = append(p.Notes, fmt.Sprintf("%d keys with %d bytes, which the trace found, were stored first", keys, bytes))
		if err := source.Preload(ctx, nil); err != nil {
			return errors.Join(err, source.Finish(true))
		}
		if err := s.settle(ctx); err != nil {
			return errors.Join(err, source.Finish(true))
		}
	}
	return s.measure(ctx, w, p, source)
}
