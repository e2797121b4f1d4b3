package run

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/bench/trace"
	"github.com/cordwood-db/cordwood/db"
)

// record makes a trace of an application that reads what it has not written, puts
// and appends.
func record(t *testing.T) string {
	t.Helper()
	store, err := db.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := store.Put(fmt.Appendf(nil, "old-%03d", i), make([]byte, 200)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "app.trace")
	recorder, err := trace.Create(path, trace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	app := trace.Wrap(store, recorder)
	for i := range 100 {
		if _, err := app.Get(fmt.Appendf(nil, "old-%03d", i)); err != nil {
			t.Fatal(err)
		}
		if err := app.Put(fmt.Appendf(nil, "new-%03d", i), make([]byte, 50+i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := app.PutTTL([]byte("session"), []byte("token"), 3_600_000_000_000); err != nil {
		t.Fatal(err)
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestATraceIsReplayedOnAnyEngine(t *testing.T) {
	path := record(t)
	p := plan(t, "memory,cordwood,stalls", "fillseq")
	p.Workloads, p.Sets = nil, nil
	p.Settings.Replay = &Replay{Path: path}
	run, err := Execute(t.Context(), p, &notes{})
	if err != nil {
		t.Fatal(err)
	}
	if len(run.Phases) != 3 || len(run.Sets) != 1 || run.Sets[0].Name != "app.trace" {
		t.Fatalf("%d phases, sets %+v", len(run.Phases), run.Sets)
	}
	for i, phase := range run.Phases {
		want := uint64(201)
		if i == 2 { // it has no TTL
			want = 200
			if !strings.Contains(strings.Join(phase.Notes, "; "), "left out") {
				t.Errorf("notes %q do not tell what was left out", phase.Notes)
			}
		}
		if phase.Operations != want || phase.Verified < 100 {
			t.Errorf("%s: %d operations, %d verified, want %d and 100", phase.Engine, phase.Operations, phase.Verified, want)
		}
	}
	requireEmpty(t, p.Dir)
}

func TestALieIsCaughtInAReplay(t *testing.T) {
	store, err := db.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "app.trace")
	recorder, err := trace.Create(path, trace.Options{})
	if err != nil {
		t.Fatal(err)
	}
	app := trace.Wrap(store, recorder)
	for i := range 800 {
		if err := app.Put(fmt.Appendf(nil, "key-%03d", i), []byte("some value or other")); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 800 {
		if _, err := app.Get(fmt.Appendf(nil, "key-%03d", i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	p := plan(t, "lies", "fillseq")
	p.Threads = 4 // the others wait for what the one that fails has not done
	p.Workloads, p.Sets = nil, nil
	p.Settings.Replay = &Replay{Path: path}
	run, err := Execute(t.Context(), p, &notes{})
	if err == nil || len(run.Phases) != 1 || !run.Phases[0].Wrong {
		t.Errorf("error %v and phases %+v, want a wrong answer", err, run)
	}
}

func TestATraceThatIsNotThere(t *testing.T) {
	p := plan(t, "memory", "fillseq")
	p.Settings.Replay = &Replay{Path: filepath.Join(t.TempDir(), "missing")}
	if _, err := Execute(t.Context(), p, &notes{}); err == nil {
		t.Error("no error")
	}
}
