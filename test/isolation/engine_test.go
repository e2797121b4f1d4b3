package isolation

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
)

// engine is what the workloads run on: the store, or the toy with its bugs.
type engine interface {
	begin(level depgraph.Level, readOnly bool) (txn, error)
	// disturb does one thing that must not show: a flush, a compaction.
	disturb(r *rand.Rand) error
	// reopen closes and opens; no transaction is open.
	reopen() error
}

// txn is a transaction over keys of several keyspaces, by number.
type txn interface {
	get(space int, key string) (value string, ok bool, err error)
	put(space int, key, value string) error
	// append adds element to the text at key, without reading it.
	append(space int, key, element string) error
	remove(space int, key string) error
	removeRange(space int, start, end string) error
	scan(space int, start, end string, backward bool) ([]pair, error)
	// commit fails with errConflict, if others were faster.
	commit() error
	// discard does nothing after a commit.
	discard()
}

// pair is a key with its value.
type pair struct{ key, value string }

// errConflict is what commit says of a transaction that did not happen since
// another one did.
var errConflict = errors.New("conflict")

// spaces is how many keyspaces an engine has.
const spaces = 3

// size is what a test does at its normal size: a quarter with -short. Amounts
// beyond that are TestIsolationAtRandom's.
func size(normal int) int {
	if testing.Short() {
		return max(normal/4, 1)
	}
	return normal
}
