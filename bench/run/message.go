package run

import (
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
	"github.com/cordwood-db/cordwood/bench/workload"
)

// protocol is the version of the messages between parent and child. A parent
// refuses a child of another one.
const protocol = 1

// request is what the parent sends to a child: first what to do, and then, if at
// all, that it has to stop. When the child's input ends without a stop, its parent
// has died: the child removes its folder and exits.
type request struct {
	Job  *job `json:"job,omitempty"`
	Stop bool `json:"stop,omitempty"`
}

// job is the work of one child.
type job struct {
	Protocol int      `json:"protocol"`
	Task     task     `json:"task"`
	Engine   string   `json:"engine"` // in the child's program
	Label    string   `json:"label"`  // in the results
	Round    int      `json:"round"`
	Dir      string   `json:"dir"` // the child's own, made and removed by it
	Keep     bool     `json:"keep"`
	Set      Set      `json:"set"`
	Settings Settings `json:"settings"`

	Workloads  []*workload.Workload `json:"workloads"`
	CPUProfile string               `json:"cpu_profile,omitempty"`
	MemProfile string               `json:"mem_profile,omitempty"`

	Victim *workload.Victim `json:"victim,omitempty"` // of that task
}

// task is what kind of work a job is.
type task string

const (
	describe task = "describe" // tell about the engine
	phases   task = "phases"   // run workloads
	victim   task = "victim"   // write until killed
)

// message is what a child sends: one of its fields is set.
type message struct {
	Protocol int            `json:"protocol,omitempty"` // with Engine
	Engine   *result.Engine `json:"engine,omitempty"`
	Progress *progress      `json:"progress,omitempty"`
	Phase    *result.Phase  `json:"phase,omitempty"`
	Acked    *acked         `json:"acked,omitempty"` // of a victim
	Done     bool           `json:"done,omitempty"`  // the job is done; the child exits
	Error    string         `json:"error,omitempty"` // the child could not do its job
}

// acked says how many commits of a victim's thread have been acknowledged.
type acked struct {
	Thread  int    `json:"thread"`
	Commits uint64 `json:"commits"`
}

// State is what a phase is doing.
type State string

// The states of a phase, in their order.
const (
	Opening  State = "opening"
	Loading  State = "loading"
	WarmUp   State = "warm-up"
	Running  State = "running"
	Settling State = "settling"
)

// progress is a sign of life of a phase at work.
type progress struct {
	Workload   string        `json:"workload"`
	State      State         `json:"state"`
	Fraction   float64       `json:"fraction"` // of this phase; negative: not known
	Operations uint64        `json:"operations"`
	Rate       float64       `json:"rate"` // of the last second
	P99        time.Duration `json:"p99_ns"`
	Stalled    time.Duration `json:"stalled_ns"` // since the last operation ended, if that is long
	Busy       string        `json:"busy,omitempty"`
}

// sender writes messages, a line each. Safe for concurrent use.
type sender struct {
	mu  sync.Mutex
	out *json.Encoder
}

func newSender(out io.Writer) *sender { return &sender{out: json.NewEncoder(out)} }

func (s *sender) send(m message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.out.Encode(m); err != nil {
		return fmt.Errorf("telling the parent: %w", err)
	}
	return nil
}
