package isolation

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
)

// bankConfig is a run of transfers between accounts, whose sum is always the
// same. An account without money is not there.
type bankConfig struct {
	level  depgraph.Level
	rounds int
	txns   int // of a round, over all clients
	seed   uint64
}

const (
	bankClients  = 4
	bankAccounts = 20 // of each keyspace
	bankMoney    = 50 // of each account, at first
	bankTotal    = spaces * bankAccounts * bankMoney
)

// triesMax is how often a transfer may meet a conflict: somebody always gets on.
const triesMax = 1000

// account is the key of an account.
func account(n int) (space int, key string) { return n % spaces, fmt.Sprintf("account/%03d", n/spaces) }

func runBank(e engine, c bankConfig) error {
	if err := openAccounts(e, c.level); err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(c.seed, 7))
	for round := range c.rounds {
		err := whileDisturbed(e, r.Uint64(), bankClients, func(client int, seed uint64) error {
			r := rand.New(rand.NewPCG(seed, 8))
			for range c.txns / bankClients {
				if err := bankStep(e, c.level, r); err != nil {
					return err
				}
			}
			return nil
		})
		if err == nil && r.IntN(2) == 0 {
			err = e.reopen()
		}
		if err == nil {
			err = audit(e, c.level, true)
		}
		if err != nil {
			return fmt.Errorf("round %d: %w", round, err)
		}
	}
	return nil
}

func openAccounts(e engine, level depgraph.Level) error {
	x, err := e.begin(level, false)
	if err != nil {
		return err
	}
	defer x.discard()
	for n := range spaces * bankAccounts {
		space, key := account(n)
		if err := x.put(space, key, balanceText(bankMoney)); err != nil {
			return err
		}
	}
	return x.commit()
}

func bankStep(e engine, level depgraph.Level, r *rand.Rand) error {
	switch n := r.IntN(10); {
	case n < 8:
		err := errConflict
		for try := 0; try < triesMax && errors.Is(err, errConflict); try++ {
			err = transferRandomly(e, level, r)
		}
		return err
	case n < 9:
		return audit(e, level, true)
	}
	return audit(e, level, false)
}

// transferRandomly moves money between two accounts, if the first one has any.
func transferRandomly(e engine, level depgraph.Level, r *rand.Rand) error {
	x, err := e.begin(level, false)
	if err != nil {
		return err
	}
	defer x.discard()
	from, to := r.IntN(spaces*bankAccounts), r.IntN(spaces*bankAccounts)
	if from == to {
		return nil
	}
	if err := transfer(x, from, to, 1+r.Int64N(bankMoney)); err != nil {
		return err
	}
	if r.IntN(10) == 0 { // a look at everything, own writes included
		time.Sleep(time.Duration(r.IntN(200)) * time.Microsecond)
		if err := checkSum(x); err != nil {
			return err
		}
	}
	return x.commit()
}

// transfer moves at most amount.
func transfer(x txn, from, to int, amount int64) error {
	has, err := balance(x, from)
	if err != nil {
		return err
	}
	gets, err := balance(x, to)
	if err != nil {
		return err
	}
	amount = min(amount, has)
	return errors.Join(setBalance(x, from, has-amount), setBalance(x, to, gets+amount))
}

func balance(x txn, n int) (int64, error) {
	space, key := account(n)
	text, ok, err := x.get(space, key)
	if err != nil || !ok {
		return 0, err
	}
	return parseBalance(text)
}

func setBalance(x txn, n int, money int64) error {
	space, key := account(n)
	if money == 0 {
		return x.remove(space, key)
	}
	return x.put(space, key, balanceText(money))
}

// audit adds up all accounts in a transaction of its own. A writing one must
// find the right sum too, whether it can commit or not.
func audit(e engine, level depgraph.Level, readOnly bool) error {
	x, err := e.begin(level, readOnly)
	if err != nil {
		return err
	}
	defer x.discard()
	if err := checkSum(x); err != nil {
		return err
	}
	if readOnly {
		if err := x.commit(); err != nil {
			return fmt.Errorf("a transaction that only read: %w", err)
		}
		return nil
	}
	if err := x.put(0, "audits", "done"); err != nil {
		return err
	}
	if err := x.commit(); !errors.Is(err, errConflict) {
		return err
	}
	return nil
}

// checkSum scans every keyspace in both directions.
func checkSum(x txn) error {
	for _, backward := range []bool{false, true} {
		sum := int64(0)
		var all []pair
		for space := range spaces {
			found, err := x.scan(space, "account/", "account0", backward)
			if err != nil {
				return err
			}
			last := ""
			for _, p := range found {
				if last != "" && (p.key > last) == backward {
					return fmt.Errorf("keyspace %d, backward %v: %q after %q", space, backward, p.key, last)
				}
				last = p.key
				money, err := parseBalance(p.value)
				if err != nil {
					return err
				}
				sum += money
			}
			all = append(all, found...)
		}
		if sum != bankTotal {
			return fmt.Errorf("the sum is %d, want %d; backward: %v, %d accounts", sum, bankTotal, backward, len(all))
		}
	}
	return nil
}

// balanceText is the value of an account; some are long enough to be separated.
func balanceText(money int64) string {
	if money%5 == 0 {
		return fmt.Sprint(money, strings.Repeat(" ", 600+int(money)))
	}
	return strconv.FormatInt(money, 10)
}

func parseBalance(text string) (int64, error) {
	money, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	if err == nil && (money <= 0 || balanceText(money) != text) {
		err = fmt.Errorf("%q is not a balance that was written", text)
	}
	return money, err
}
