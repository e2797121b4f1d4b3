package run

import (
	"errors"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/bench/measure"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// pair is a source of two clients, of which one waits until the other is closed,
// as those of a replay do.
type pair struct{ closed chan struct{} }

func (*pair) Kinds() []workload.Kind                      { return []workload.Kind{{Name: "wait"}} }
func (*pair) Total() uint64                               { return 0 }
func (*pair) Finish(bool) error                           { return nil }
func (p *pair) Client(index int) (workload.Client, error) { return &paired{p, index}, nil }

type paired struct {
	*pair
	index int
}

var errPaired = errors.New("it fails at once")

func (p *paired) Prepare() (int, time.Duration, bool) {
	if p.index == 1 {
		<-p.closed
		return 0, -1, false
	}
	return 0, -1, true
}

func (*paired) Execute() (workload.Outcome, error) { return workload.Outcome{}, errPaired }
func (*paired) Verify() error                      { return nil }

func (p *paired) Close() error {
	if p.index == 0 {
		close(p.closed)
	}
	return nil
}

func TestAClientThatFailsIsClosedAtOnce(t *testing.T) {
	l := &loop{source: &pair{make(chan struct{})}, clock: measure.RealClock(), threads: 2}
	ended := make(chan error, 1)
	go func() {
		_, _, _, err := l.run(t.Context(), 0)
		ended <- err
	}()
	select {
	case err := <-ended:
		if !errors.Is(err, errPaired) {
			t.Errorf("error %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the other client waits for ever")
	}
}
