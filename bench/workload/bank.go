package workload

import (
	"fmt"
	"math"
	"time"

	"github.com/cordwood-db/cordwood/bench/engine"
	"github.com/cordwood-db/cordwood/bench/result"
)

// The sizes of the transactional workloads.
const (
	bankAccounts  = 1000
	bankBalance   = 1000
	transferMax   = 100
	auditEvery    = 20 // transactions, one of which is an audit
	hotCounters   = 16
	transferKind  = "transfer"
	auditKind     = "audit"
	incrementKind = "increment"
)

// txSource runs transactions over a ledger: transfers and audits in a bank, or
// increments of counters.
type txSource struct {
	c      Config
	bank   bool
	ledger *ledger
	total  uint64
}

func newBank(w *Workload, c Config) (Source, error) {
	if c.Model.accounts == nil {
		l, err := newLedger(c.Model, c.Store, accountPrefix, bankAccounts, bankBalance)
		if err != nil {
			return nil, err
		}
		c.Model.accounts = l
	}
	return &txSource{c: c, bank: true, ledger: c.Model.accounts, total: w.operations(&c, 1)}, nil
}

func newCounters(w *Workload, c Config) (Source, error) {
	if c.Model.counters == nil {
		l, err := newLedger(c.Model, c.Store, counterPrefix, hotCounters, 0)
		if err != nil {
			return nil, err
		}
		c.Model.counters = l
	}
	return &txSource{c: c, ledger: c.Model.counters, total: w.operations(&c, 1)}, nil
}

// Kinds implements Source.
func (s *txSource) Kinds() []Kind {
	if s.bank {
		return []Kind{{transferKind, result.Tx}, {auditKind, result.Tx}}
	}
	return []Kind{{incrementKind, result.Tx}}
}

// Total implements Source.
func (s *txSource) Total() uint64 { return s.total }

// Client implements Source.
func (s *txSource) Client(index int) (Client, error) {
	transactor, ok := s.c.Store.(engine.Transactor)
	if !ok || index < 0 || index >= s.c.Threads {
		return nil, usage("client", index, "there are %d", s.c.Threads)
	}
	c := &txClient{s: s, l: s.ledger, store: transactor, random: newRandom(s.c.Seed ^ mix(uint64(index)+1)), left: math.MaxUint64}
	if s.total > 0 {
		c.left = share(s.total, index, s.c.Threads)
	}
	c.viewer, _ = s.c.Store.(engine.Viewer)
	// Made once: a function made for each transaction would be an allocation.
	c.transfer, c.audit, c.increment = c.doTransfer, c.doAudit, c.doIncrement
	return c, nil
}

// Finish implements Source: everything that was committed has to be there.
func (s *txSource) Finish(failed bool) error {
	if failed {
		// How a transaction ended is not known: the next source begins anew.
		if s.bank {
			s.c.Model.accounts = nil
		} else {
			s.c.Model.counters = nil
		}
		return nil
	}
	return s.ledger.check(s.c.Store)
}

// txClient runs one transaction after the other.
type txClient struct {
	s                          *txSource
	l                          *ledger
	store                      engine.Transactor
	viewer                     engine.Viewer // nil: store has none
	random                     random
	left                       uint64
	transfer, audit, increment func(engine.Tx) error

	audits   bool // what is at hand
	from, to uint64
	amount   int64
	seen     [2]uint64 // acknowledged writes of from and to
	key      []byte
	value    []byte
	failure  error // a wrong answer within the transaction
}

// Prepare implements Client.
func (c *txClient) Prepare() (kind int, due time.Duration, more bool) {
	if c.left == 0 {
		return 0, -1, false
	}
	c.left--
	n := uint64(c.l.len())
	c.from = c.random.below(n)
	c.to = (c.from + 1 + c.random.below(n-1)) % n
	c.amount = 1 + int64(c.random.below(transferMax))
	c.seen = [2]uint64{c.l.acknowledged[c.from].Load(), c.l.acknowledged[c.to].Load()}
	if c.audits = c.s.bank && c.random.below(auditEvery) == 0; c.audits {
		return 1, -1, true
	}
	return 0, -1, true
}

// Execute implements Client.
func (c *txClient) Execute() (out Outcome, err error) {
	record := c.l.m.keys.bytes + tallyBytes
	c.failure = nil
	switch {
	case c.audits:
		out = Outcome{Items: c.l.len(), Bytes: c.l.len() * record, Checked: c.l.len() + 1}
		if c.viewer != nil {
			err = c.viewer.View(c.audit)
		} else {
			out.Retries, err = c.store.Update(c.audit)
		}
	case c.s.bank:
		out = Outcome{Items: 4, Bytes: 4 * record, Written: 2 * record, Checked: 2}
		out.Retries, err = c.store.Update(c.transfer)
	default:
		out = Outcome{Items: 2, Bytes: 2 * record, Written: record, Checked: 1}
		out.Retries, err = c.store.Update(c.increment)
	}
	if err != nil && c.failure != nil {
		return out, c.failure
	}
	if err != nil {
		return out, fmt.Errorf("transaction: %w", err)
	}
	return out, nil
}

// read reads a record within a transaction.
func (c *txClient) read(tx engine.Tx, i, atLeast uint64) (t tally, err error) {
	c.key = c.l.m.keys.appendApart(c.key[:0], c.l.prefix, i)
	c.value, err = tx.Get(c.value[:0], c.key)
	t, err = c.l.read(i, atLeast, c.value, err)
	if wrong, ok := err.(*WrongAnswer); ok {
		c.failure = wrong
	}
	return t, err
}

func (c *txClient) write(tx engine.Tx, i uint64, t tally) error {
	t.writes++
	c.key = c.l.m.keys.appendApart(c.key[:0], c.l.prefix, i)
	c.value = c.l.append(c.value[:0], i, t)
	return tx.Put(c.key, c.value)
}

func (c *txClient) doTransfer(tx engine.Tx) error {
	from, err := c.read(tx, c.from, c.seen[0])
	if err != nil {
		return err
	}
	to, err := c.read(tx, c.to, c.seen[1])
	if err != nil {
		return err
	}
	amount := min(c.amount, from.amount)
	from.amount -= amount
	to.amount += amount
	if err := c.write(tx, c.from, from); err != nil {
		return err
	}
	return c.write(tx, c.to, to)
}

func (c *txClient) doAudit(tx engine.Tx) error {
	sum := int64(0)
	for i := range uint64(c.l.len()) {
		t, err := c.read(tx, i, 0)
		if err != nil {
			return err
		}
		sum += t.amount
	}
	if err := c.l.checkSum(sum); err != nil {
		c.failure = err
		return err
	}
	return nil
}

func (c *txClient) doIncrement(tx engine.Tx) error {
	t, err := c.read(tx, c.from, c.seen[0])
	if err != nil {
		return err
	}
	return c.write(tx, c.from, t)
}

// Verify implements Client: what was read was checked within the transaction.
func (c *txClient) Verify() error {
	if c.audits {
		return nil
	}
	c.l.acknowledged[c.from].Add(1)
	if c.s.bank {
		c.l.acknowledged[c.to].Add(1)
	}
	return nil
}

// Close implements Client.
func (c *txClient) Close() error { return nil }
