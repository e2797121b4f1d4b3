package main

import (
	"bytes"
	"compress/flate"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

func compressedBytes(t *testing.T, data []byte) int {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Len()
}

func TestEveryPhaseRunsAndIsReported(t *testing.T) {
	jsonPath := filepath.Join(t.TempDir(), "results.json")
	profiles := t.TempDir()
	status, out, errs := kvbench(t, "-n", "3000", "-value", "100,2KiB", "-threads", "3", "-json", jsonPath,
		"-cpuprofile", filepath.Join(profiles, "cpu"), "-memprofile", filepath.Join(profiles, "mem"))
	if status != 0 {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	wantEntries(t, profiles, "cpu", "mem")
	for _, line := range strings.Split(out, "\n") {
		if len([]rune(line)) > 100 {
			t.Errorf("a line of %d columns: %s", len([]rune(line)), line)
		}
	}
	results := readResults(t, jsonPath)
	if want := 2 * (len(standardPhases) + 1); len(results) != want {
		t.Fatalf("%d JSON objects, want %d", len(results), want)
	}
	for _, r := range results {
		name := fmt.Sprintf("%v of %v bytes", r["phase"], r["value_bytes"])
		for _, field := range []string{"operations", "bytes", "seconds", "ops_per_second", "mb_per_second", "p50_ns", "p99_ns", "p999_ns", "max_ns"} {
			if v, ok := r[field].(float64); !ok || v <= 0 {
				t.Errorf("%s: %s is %v", name, field, r[field])
			}
		}
		if !strings.Contains(out, strings.TrimSpace(r["phase"].(string))) {
			t.Errorf("the table lacks %s", name)
		}
		w, wrote := r["written"].(map[string]any)
		if wrote != strings.HasPrefix(r["phase"].(string), "fill") && r["phase"] != "overwrite" {
			t.Errorf("%s: written is %v", name, r["written"])
		}
		if wrote && (w["live_bytes"].(float64) != r["keys"].(float64)*(16+r["value_bytes"].(float64)) ||
			r["written_per_byte_put"].(float64) < 1 || r["disk_per_live_byte"].(float64) < 0.3) {
			t.Errorf("%s: written %v", name, r)
		}
	}
}

func readResults(t *testing.T, path string) (results []map[string]any) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var r map[string]any
		if err := json.Unmarshal(line, &r); err != nil {
			t.Fatal(err)
		}
		results = append(results, r)
	}
	return results
}

func TestPhasesRunAloneAndInAnyOrder(t *testing.T) {
	for _, p := range standardPhases {
		for _, n := range []string{"1", "7"} {
			status, out, errs := kvbench(t, "-n", n, "-value", "16", "-only", p.name+","+p.name, "-threads", "3", "-sync", "-quiet")
			if status != 0 || strings.Count(out, p.name+" ") < 2 {
				t.Errorf("%s with %s keys: status %d\n%s\n%s", p.name, n, status, out, errs)
			}
		}
	}
}

// liar is a store that answers wrongly once it holds something.
type liar struct {
	*db.DB
	put func(store *db.DB, key, value []byte) error
	get func(store *db.DB, dst, key []byte) ([]byte, error)
}

func (l *liar) Put(key, value []byte) error {
	if l.put == nil {
		return l.DB.Put(key, value)
	}
	return l.put(l.DB, key, value)
}

func (l *liar) AppendGet(dst, key []byte) ([]byte, error) {
	if l.get == nil {
		return l.DB.AppendGet(dst, key)
	}
	return l.get(l.DB, dst, key)
}

// newTestSet is a set of small values that fillrandom has filled.
func newTestSet(t *testing.T, keys int) *set {
	t.Helper()
	c := &config{keys: keys, threads: 2, seed: 1, writeRate: 1000}
	s := newSet(c, t.TempDir(), 64, newProgress(os.Stderr, true))
	t.Cleanup(func() {
		if err := s.close(); err != nil {
			t.Error(err)
		}
	})
	runPhase(t, s, "fillrandom", nil, "")
	return s
}

// runPhase runs one phase on a set, through points if not nil, and checks what
// comes of it.
func runPhase(t *testing.T, s *set, name string, through points, want string) {
	t.Helper()
	p, err := findPhases(name)
	if err != nil {
		t.Fatal(err)
	}
	if through != nil {
		run := p[0].run
		p[0].run = func(w *worker) error {
			w.points = through
			return run(w)
		}
		s.config.threads = 1 // w.points is the job's
		defer func() { s.config.threads = 2 }()
	}
	_, err = s.run(context.Background(), p[0])
	wantWrong(t, err, want)
}

func TestALyingStoreIsCaughtByPointReads(t *testing.T) {
	const keys = 50
	s := newTestSet(t, keys)
	honest := &liar{DB: s.store}
	runPhase(t, s, "readrandom", honest, "")
	runPhase(t, s, "readmissing", honest, "")
	forgets := &liar{DB: s.store, get: func(*db.DB, []byte, []byte) ([]byte, error) { return nil, db.ErrNotFound }}
	runPhase(t, s, "readrandom", forgets, "not found")
	invents := &liar{DB: s.store, get: func(_ *db.DB, dst, _ []byte) ([]byte, error) { return dst, nil }}
	runPhase(t, s, "readrandom", invents, "0 bytes long")
	runPhase(t, s, "readmissing", invents, "never written")
	confuses := &liar{DB: s.store, get: func(store *db.DB, dst, key []byte) ([]byte, error) {
		n, _ := keyNumber(key)
		return store.AppendGet(dst, appendKey(nil, (n+2)%(2*keys)))
	}}
	runPhase(t, s, "readrandom", confuses, "another key")
	flips := &liar{DB: s.store, get: func(store *db.DB, dst, key []byte) ([]byte, error) {
		value, err := store.AppendGet(dst, key)
		if err == nil {
			value[40] ^= 0x10
		}
		return value, err
	}}
	runPhase(t, s, "readrandom", flips, "damaged")
	drops := &liar{DB: s.store, put: func(*db.DB, []byte, []byte) error { return nil }}
	runPhase(t, s, "overwrite", drops, "")
	runPhase(t, s, "readrandom", nil, "stale")
}

func TestALyingStoreIsCaughtByScansAndSeeks(t *testing.T) {
	const keys = 20
	key := func(i int) []byte { return appendKey(nil, presentNumber(i)) }
	for name, lie := range map[string]struct {
		change func(s *set) error
		want   string
	}{
		"a key is gone":           {func(s *set) error { return s.store.Delete(key(7)) }, "where"},
		"a key came from nowhere": {func(s *set) error { return s.store.Put([]byte("0000000000000009x"), nil) }, "where"},
		"an old value": {func(s *set) error {
			s.model.acknowledge(7, s.model.issue(7))
			return nil
		}, "stale"},
		"another key's value": {func(s *set) error { return s.store.Put(key(7), s.model.valueOf(8, 1)) }, "another key"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestSet(t, keys)
			for _, p := range []string{"readseq", "readreverse", "seekrandom"} {
				runPhase(t, s, p, nil, "")
			}
			if err := lie.change(s); err != nil {
				t.Fatal(err)
			}
			for _, p := range []string{"readseq", "readreverse", "seekrandom"} {
				runPhase(t, s, p, nil, lie.want)
			}
		})
	}
	s := newTestSet(t, keys)
	if err := s.store.Delete(key(keys - 1)); err != nil {
		t.Fatal(err)
	}
	runPhase(t, s, "readseq", nil, "ended before")
	runPhase(t, s, "seekrandom", nil, "ended before")
}

func TestAFailingStoreEndsThePhaseWithItsError(t *testing.T) {
	s := newTestSet(t, 50)
	broken := errors.New("broken")
	bad := &liar{DB: s.store,
		put: func(*db.DB, []byte, []byte) error { return broken },
		get: func(*db.DB, []byte, []byte) ([]byte, error) { return nil, broken }}
	for _, name := range []string{"overwrite", "readrandom", "readmissing", "readwhilewriting"} {
		p, err := findPhases(name)
		if err != nil {
			t.Fatal(err)
		}
		run := p[0].run
		p[0].run = func(w *worker) error {
			return run(&worker{job: &job{points: bad, model: w.model, threads: 1}, operations: 5, latency: w.latency, random: w.random})
		}
		if _, err := s.run(context.Background(), p[0]); !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestThePacedWriterKeepsItsRate(t *testing.T) {
	s := newTestSet(t, 50)
	j := &job{points: s.store, model: s.model, threads: 1, writeRate: 500}
	w := newWorker(j, 0, 0, 1)
	time.AfterFunc(200*time.Millisecond, func() { j.ended.Store(true) })
	if err := writePaced(w); err != nil {
		t.Fatal(err)
	}
	if n := w.done.Load(); n < 5 || n > 150 {
		t.Errorf("%d puts in 200 ms at 500 a second", n)
	}
}

func TestTheTimeLimitEndsReads(t *testing.T) {
	status, out, errs := kvbench(t, "-n", "200000", "-value", "16", "-only", "fillseq,readseq,readrandom", "-limit", "20ms", "-quiet")
	if status != 0 {
		t.Fatalf("status %d\n%s\n%s", status, out, errs)
	}
	if strings.Contains(out, "400,000") {
		t.Errorf("readseq went on to its end:\n%s", out)
	}
}
