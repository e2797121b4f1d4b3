package isolation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
	"github.com/cordwood-db/cordwood/test/isolation/linear"
	"github.com/cordwood-db/cordwood/vfs"
)

// failing is a store whose disk fails: a commit that returns another error than
// a conflict may have happened or not.
type failing struct{ *store }

// errStopped says that the store takes no more transactions that write.
var errStopped = errors.New("stopped")

func (f failing) begin(level depgraph.Level, readOnly bool) (txn, error) {
	x, err := f.store.begin(level, readOnly)
	if errors.Is(err, db.ErrReadOnly) {
		return nil, errStopped
	}
	if err != nil {
		return nil, err
	}
	return failingTxn{x}, nil
}

type failingTxn struct{ txn }

func (x failingTxn) commit() error {
	err := x.txn.commit()
	if err != nil && !errors.Is(err, errConflict) {
		return fmt.Errorf("%w: %w", errUnknown, err)
	}
	return err
}

// A write or a sync of the log fails under concurrent transactions, and the
// process dies. What is there afterwards fits what the clients saw, whichever
// of the transactions in doubt happened.
func TestTransactionsOfUnknownOutcomeHappenOrNot(t *testing.T) {
	r := rand.New(rand.NewPCG(testkit.Seed(t), 14))
	unknown := 0
	for round := range size(60) {
		n, err := unknownRound(round, r)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		unknown += n
	}
	t.Logf("%d transactions of unknown outcome", unknown)
	if unknown == 0 {
		t.Error("no transaction of unknown outcome")
	}
}

func unknownRound(round int, r *rand.Rand) (unknown int, err error) {
	mem := vfs.NewMem()
	o := smallOptions()
	fs := vfs.NewFaulty(mem, nil)
	o.FS, o.Merge = fs, db.Append()
	if round%2 == 0 {
		o.Durability = db.Sync
	}
	s := &store{dir: "/store", opts: o}
	if err := s.open(); err != nil {
		return 0, err
	}
	fs.SetDecide(vfs.FailNth(1+r.Int64N(200), func(op vfs.Op) bool {
		return vfs.Mutating(op) && strings.HasSuffix(op.Path, ".wal")
	}, syscall.EIO, true))
	t := &transactions{failing{s}, linear.NewHistory()}
	doubts, err := clientsUntilFailure(t, r.Uint64())
	if err != nil {
		return 0, err
	}
	image := mem.KillClone()
	_ = s.db.Close() // on a disk that fails
	o.FS = image
	after := &store{dir: "/store", opts: o}
	if err := after.open(); err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, after.close()) }()
	t.engine = after
	if _, err := t.readAll(); err != nil {
		return 0, err
	}
	return doubts, t.history.Check(linear.Transactions(), searchTimeMax)
}

// clientsUntilFailure runs clients until each has seen the failure, or has done
// enough. It returns how many transactions are in doubt.
func clientsUntilFailure(t *transactions, seed uint64) (doubts int, err error) {
	var wg sync.WaitGroup
	inDoubt := make([]bool, transactionClients)
	errs := make([]error, transactionClients)
	for client := range transactionClients {
		wg.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(client)))
			for range 60 {
				known, err := t.transact(client, r)
				if err != nil && !errors.Is(err, errStopped) {
					errs[client] = err
				}
				if !known {
					inDoubt[client] = err == nil
					return
				}
			}
		})
	}
	wg.Wait()
	for _, d := range inDoubt {
		if d {
			doubts++
		}
	}
	return doubts, errors.Join(errs...)
}
