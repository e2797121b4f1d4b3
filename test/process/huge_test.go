package process

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/cordwood-db/cordwood/db"
)

// hugeEnv holds how many GiB the transactions of TestKilledTransactionOfManyGiB
// have. It takes as much memory, twice as much on disk, and minutes.
const hugeEnv = "CORDWOOD_HUGE_GIB"

const (
	hugeValueBytes  = 64 << 10 // of those in the value log
	hugeInlineBytes = 400      // of the others
	hugeInlineEach  = 40       // of these for each of those: a fifth of the bytes
)

// hugeGroups is how many groups of keys a transaction has, each with one value
// for the value log.
func hugeGroups() (int, error) {
	gib, err := strconv.ParseFloat(os.Getenv(hugeEnv), 64)
	return int(gib * (1 << 30) / (hugeValueBytes + hugeInlineEach*hugeInlineBytes)), err
}

func hugeKey(group, i int) []byte { return fmt.Appendf(nil, "%08d/%02d", group, i) }

// hugeValue fills buf with the value of a key in a round.
func hugeValue(buf []byte, round, group, i int) []byte {
	clear(buf)
	for at := 0; at+16 <= len(buf); at += 4096 {
		binary.LittleEndian.PutUint64(buf[at:], uint64(round)<<48|uint64(group)<<16|uint64(i))
		binary.LittleEndian.PutUint64(buf[at+8:], uint64(at))
	}
	return buf
}

func hugeOptions() *db.Options { return &db.Options{MemoryMax: 256 << 20} }

// hugeChild commits a transaction of round r over two keyspaces. It says when
// the commit begins and when it is done.
func hugeChild(dir string) error {
	groups, err := hugeGroups()
	if err != nil {
		return err
	}
	store, err := db.Open(dir, hugeOptions())
	if err != nil {
		return err
	}
	other, err := store.Keyspace("other", nil)
	if err != nil {
		return err
	}
	round, err := strconv.Atoi(os.Getenv("CORDWOOD_HUGE_ROUND"))
	if err != nil {
		return err
	}
	tx, err := store.Begin(db.TxOptions{Durability: db.Sync})
	if err != nil {
		return err
	}
	large, small := make([]byte, hugeValueBytes), make([]byte, hugeInlineBytes)
	for g := range groups {
		if err := tx.Put(hugeKey(g, 0), hugeValue(large, round, g, 0)); err != nil {
			return err
		}
		for i := 1; i <= hugeInlineEach; i++ {
			if err := tx.In(other).Put(hugeKey(g, i), hugeValue(small, round, g, i)); err != nil {
				return err
			}
		}
	}
	fmt.Println("commit")
	if err := tx.Commit(); err != nil {
		return err
	}
	fmt.Println("done")
	select {}
}

// TestKilledTransactionOfManyGiB kills a process while it commits a transaction
// of many GiB: at the next open all of it is there, or nothing.
func TestKilledTransactionOfManyGiB(t *testing.T) {
	if os.Getenv(hugeEnv) == "" {
		t.Skip(hugeEnv + " is not set")
	}
	dir := t.TempDir()
	held := 0
	var took time.Duration // of the whole commit
	for round := 1; round <= 5; round++ {
		t.Setenv("CORDWOOD_HUGE_ROUND", strconv.Itoa(round))
		c := startChild(t, "huge", dir, nil)
		if line := c.line(); line != "commit" {
			t.Fatalf("round %d: the child says %q, %s", round, line, c.err.String())
		}
		start := time.Now()
		if whole := round == 1 || round == 5; whole {
			if line := c.line(); line != "done" {
				t.Fatalf("round %d: the child says %q, %s", round, line, c.err.String())
			}
			took = time.Since(start)
			held = round
		} else {
			time.Sleep(took * time.Duration(round-1) / 4)
		}
		c.kill()
		start = time.Now()
		found, err := checkHuge(dir, max(held, 1), round)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		held = found
		t.Logf("round %d: the whole commit takes %v; opened and read in %v, holds round %d; %d MiB on disk",
			round, took, time.Since(start), held, dirBytes(dir)>>20)
	}
	if held != 5 {
		t.Errorf("the last transaction is not there, but that of round %d", held)
	}
}

// checkHuge opens the store and reads all of it. It holds the transaction of
// round from or to, whole.
func checkHuge(dir string, from, to int) (round int, err error) {
	store, err := db.Open(dir, hugeOptions())
	if err != nil {
		return 0, err
	}
	defer store.Close()
	other, err := store.Keyspace("other", &db.KeyspaceOptions{MustExist: true})
	if err != nil {
		return 0, err
	}
	first, err := store.Get(hugeKey(0, 0))
	if err != nil {
		return 0, err
	}
	round = int(binary.LittleEndian.Uint64(first) >> 48)
	if round != from && round != to {
		return 0, fmt.Errorf("holds round %d, want %d or %d", round, from, to)
	}
	groups, err := hugeGroups()
	if err != nil {
		return 0, err
	}
	large, err := readHuge(store, round, hugeValueBytes, 0, 0)
	if err != nil {
		return 0, err
	}
	small, err := readHuge(other, round, hugeInlineBytes, 1, hugeInlineEach)
	if err != nil {
		return 0, err
	}
	if large != groups || small != groups*hugeInlineEach {
		return 0, fmt.Errorf("%d and %d keys, want %d and %d", large, small, groups, groups*hugeInlineEach)
	}
	return round, store.Close()
}

// readHuge compares everything in a keyspace, which has keys lo to hi of each
// group, and counts it.
func readHuge(from db.Reader, round, size, lo, hi int) (n int, err error) {
	buf := make([]byte, size)
	for item, err := range from.Scan(db.All()) {
		if err != nil {
			return n, err
		}
		group, i := n/(hi-lo+1), lo+n%(hi-lo+1)
		value, err := item.Value()
		if err != nil || !bytes.Equal(item.Key(), hugeKey(group, i)) || !bytes.Equal(value, hugeValue(buf, round, group, i)) {
			return n, fmt.Errorf("key %q, number %d: not what round %d wrote, %w", item.Key(), n, round, err)
		}
		n++
	}
	return n, nil
}

// dirBytes is how large the files of a directory are together.
func dirBytes(dir string) (n int64) {
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			n += info.Size()
		}
	}
	return n
}
