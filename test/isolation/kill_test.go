package isolation

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/testkit"
	"github.com/cordwood-db/cordwood/test/isolation/depgraph"
)

// killOptions are smallOptions, with a memtable in which some transfers find
// room, so that a kill leaves something to replay.
func killOptions() db.Options {
	o := smallOptions()
	o.MemtableBytes = 32 << 10
	return o
}

// journalKey is where a teller notes its n-th transfer, in the same transaction.
func journalKey(teller, n int) string { return fmt.Sprintf("journal/%d/%08d", teller, n) }

// tellers is the child: four goroutines make transfers until they are killed,
// and print each one that was committed.
func tellers(dir string) error {
	s := &store{dir: dir, opts: killOptions()}
	if err := s.open(); err != nil {
		return err
	}
	if err := openOnce(s); err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, bankClients)
	for n := range bankClients {
		wg.Go(func() { errs[n] = teller(s, n) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// openOnce opens the accounts of an empty store.
func openOnce(s *store) error {
	err := s.db.View(func(tx *db.Tx) error {
		for _, err := range tx.Scan(db.All()) {
			return err
		}
		return db.ErrNotFound
	})
	if errors.Is(err, db.ErrNotFound) {
		return openAccounts(s, depgraph.Serializable)
	}
	return err
}

func teller(s *store, n int) error {
	r := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), uint64(n)))
	number := 0
	err := s.db.View(func(tx *db.Tx) error {
		for it, err := range tx.In(s.places[1]).Scan(db.Prefix(fmt.Appendf(nil, "journal/%d/", n)).Backward()) {
			if err != nil {
				return err
			}
			_, err = fmt.Sscanf(string(it.Key()), fmt.Sprintf("journal/%d/%%d", n), &number)
			return err
		}
		return nil
	})
	if err != nil {
		return err
	}
	for {
		number++
		from, to := r.IntN(spaces*bankAccounts), r.IntN(spaces*bankAccounts)
		if from == to {
			continue
		}
		o := db.TxOptions{TriesMax: triesMax}
		if n == 0 {
			o.Durability = db.Sync
		}
		var line string
		err := s.db.UpdateWith(context.Background(), o, func(tx *db.Tx) error {
			x := &storeTxn{s: s, x: tx, r: r}
			has, err := balance(x, from)
			if err != nil {
				return err
			}
			amount := min(1+r.Int64N(bankMoney), has)
			line = fmt.Sprintf("%d %d %d", from, to, amount)
			if err := transfer(x, from, to, amount); err != nil {
				return err
			}
			return x.put(1, journalKey(n, number), line)
		})
		if err != nil {
			return err
		}
		// One write call: whole, or not there.
		if _, err := fmt.Fprintf(os.Stdout, "%s %s\n", journalKey(n, number), line); err != nil {
			return err
		}
	}
}

func TestKilledBank(t *testing.T) {
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(testkit.Seed(t), 11))
	acked := make(map[string]string)
	kills := size(6)
	for kill := range kills {
		if err := killTellers(dir, time.Duration(50+r.IntN(300))*time.Millisecond, acked); err != nil {
			t.Fatalf("kill %d: %v", kill, err)
		}
		if err := checkKilledBank(dir, acked); err != nil {
			t.Fatalf("after kill %d: %v", kill, err)
		}
	}
	t.Logf("%d kills, %d acknowledged transfers", kills, len(acked))
	if len(acked) < kills {
		t.Error("hardly any transfers")
	}
}

// killTellers runs the child for a while after its first transfer, and kills it.
func killTellers(dir string, after time.Duration, acked map[string]string) (err error) {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var complaints strings.Builder
	cmd := exec.Command(self, dir)
	cmd.Env = append(os.Environ(), childEnv+"=tellers")
	cmd.Stderr = &complaints
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	var kill *time.Timer
	for lines.Scan() {
		if kill == nil {
			kill = time.AfterFunc(after, func() { _ = cmd.Process.Kill() })
		}
		key, line, ok := strings.Cut(lines.Text(), " ")
		if !ok {
			return fmt.Errorf("the child says %q", lines.Text())
		}
		acked[key] = line
	}
	if kill == nil {
		_ = cmd.Process.Kill()
	}
	_ = cmd.Wait() // it was killed
	if complaints.Len() > 0 || kill == nil {
		return fmt.Errorf("the child says %q", complaints.String())
	}
	return nil
}

// checkKilledBank opens the store: the sum is right, acknowledged transfers are
// in the journal, and the journal explains every balance.
func checkKilledBank(dir string, acked map[string]string) (err error) {
	s := &store{dir: dir, opts: killOptions()}
	if err := s.open(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	x, err := s.begin(depgraph.Serializable, true)
	if err != nil {
		return err
	}
	defer x.discard()
	if err := checkSum(x); err != nil {
		return err
	}
	journal, err := x.scan(1, "journal/", "journal0", false)
	if err != nil {
		return err
	}
	want := make([]int64, spaces*bankAccounts)
	for n := range want {
		want[n] = bankMoney
	}
	there := make(map[string]string, len(journal))
	for _, p := range journal {
		there[p.key] = p.value
		var from, to int
		var amount int64
		if _, err := fmt.Sscan(p.value, &from, &to, &amount); err != nil {
			return fmt.Errorf("journal: %q: %w", p.value, err)
		}
		want[from] -= amount
		want[to] += amount
	}
	for key, line := range acked {
		if there[key] != line {
			return fmt.Errorf("%s was acknowledged as %q, the journal has %q", key, line, there[key])
		}
	}
	for n := range want {
		has, err := balance(x, n)
		if err != nil {
			return err
		}
		if has != want[n] {
			return fmt.Errorf("account %d has %d, by the journal %d", n, has, want[n])
		}
	}
	return x.commit()
}
