package workload

import (
	"fmt"
	"time"

	"github.com/cordwood-db/cordwood/bench/result"
)

// Kind is one kind of operation of a source.
type Kind struct {
	Name  string
	Class result.Class
}

// Source is work to be done by several clients at once.
type Source interface {
	// Kinds lists the kinds of operations, by the number that Prepare returns.
	Kinds() []Kind
	// Total is how many operations there are for all clients; 0: no end but time.
	Total() uint64
	// Client returns the client of that index, below the number of threads that
	// the source was made for. Call it once for each, before any of them works.
	Client(index int) (Client, error)
	// Finish checks what can be checked at the end only, such as the sum of all
	// accounts, and releases everything. It is called once, after the clients
	// have ended, however they did; then failed tells whether one of them failed
	// or was interrupted, and only the releasing matters.
	Finish(failed bool) error
}

// Client does operations one after the other: Prepare, Execute, Verify.
type Client interface {
	// Prepare decides on the next operation and makes its keys and values; it
	// does not touch the store. due is when the operation has to begin, from the
	// beginning of the phase, for sources with a timetable of their own;
	// otherwise negative. more is false when the client's share is done.
	Prepare() (kind int, due time.Duration, more bool)
	// Execute does it: this is what is timed. items is how many entries were read
	// or written, bytes the length of their keys and values. An answer that
	// cannot be kept, like that of a scan, is checked here.
	Execute() (Outcome, error)
	// Verify checks the answer, and acknowledges what was written. It fails with a
	// *WrongAnswer. It is called after every Execute that did not fail.
	Verify() error
	// Close releases what the client holds. It is called once.
	Close() error
}

// Outcome is what one operation did.
type Outcome struct {
	Items    int // entries read or written
	Bytes    int // of their keys and values
	Written  int // of Bytes: those written
	Checked  int // answers that Execute and Verify check
	Retries  int // of a transaction
	NotFound bool
}

// WrongAnswer says that an engine returned what it must not.
type WrongAnswer struct {
	Key     string
	Problem string
}

// Error implements error.
func (w *WrongAnswer) Error() string {
	return fmt.Sprintf("WRONG ANSWER for key %q: %s", w.Key, w.Problem)
}
