// Queue keeps a queue of jobs that survives its workers and the power: a job is
// on disk when it is accepted, and is done exactly when its result is there.
//
//	go run ./examples/queue DIR add "sweep the yard"
//	go run ./examples/queue DIR work
//	go run ./examples/queue DIR list
//
// It shows keys that sort, batches that are all or nothing, and cursors.
package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"strings"

	"github.com/cordwood-db/cordwood/db"
)

func main() {
	if len(os.Args) < 3 {
		log.Fatal("usage: queue DIR add TEXT | work | list")
	}
	store, err := db.Open(os.Args[1], nil)
	if err != nil {
		log.Fatal(err)
	}
	err = run(store, os.Args[2], strings.Join(os.Args[3:], " "), os.Stdout)
	if err = errors.Join(err, store.Close()); err != nil {
		log.Fatal(err)
	}
}

func run(store *db.DB, verb, text string, out io.Writer) error {
	q := &queue{store}
	switch verb {
	case "add":
		n, err := q.add(text)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "accepted as %d\n", n)
		return err
	case "work":
		for {
			n, result, ok, err := q.work(strings.ToUpper)
			if err != nil || !ok {
				return err
			}
			if _, err := fmt.Fprintf(out, "%d done: %s\n", n, result); err != nil {
				return err
			}
		}
	case "list":
		return q.list(out)
	}
	return fmt.Errorf("unknown verb %q", verb)
}

// queue keeps jobs under "todo/" and their results under "done/", by number.
// It is used by one goroutine.
type queue struct {
	store *db.DB
}

const (
	todo = "todo/"
	done = "done/"
)

// key is the key of job n. Big-endian numbers sort as numbers do.
func key(state string, n uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte(state), n)
}

func number(key []byte) uint64 { return binary.BigEndian.Uint64(key[len(todo):]) }

// add appends a job. It is durable when add returns.
func (q *queue) add(text string) (uint64, error) {
	last := uint64(0)
	for _, state := range []string{todo, done} {
		for item, err := range q.store.Scan(db.Prefix([]byte(state)).Backward().KeysOnly()) {
			if err != nil {
				return 0, err
			}
			last = max(last, number(item.Key()))
			break // the last one is all we want
		}
	}
	var batch db.Batch
	if err := batch.Put(key(todo, last+1), []byte(text)); err != nil {
		return 0, err
	}
	return last + 1, q.store.Apply(&batch, db.Sync)
}

// work does the oldest job; ok is false if there is none. The job disappears
// and its result appears in one commit: a crash before it leaves the job to be
// done again, a crash after it finds both.
func (q *queue) work(do func(string) string) (n uint64, result string, ok bool, err error) {
	c, err := q.store.NewCursor(db.Prefix([]byte(todo)))
	if err != nil {
		return 0, "", false, err
	}
	defer c.Close()
	if !c.First() {
		return 0, "", false, c.Err()
	}
	text, err := c.Value()
	if err != nil {
		return 0, "", false, err
	}
	n, result = number(c.Key()), do(string(text))
	var batch db.Batch
	err = errors.Join(batch.Delete(key(todo, n)), batch.Put(key(done, n), []byte(result)))
	if err == nil {
		err = q.store.Apply(&batch, db.Sync)
	}
	return n, result, err == nil, err
}

// list prints what is done and what is to do, as of one moment.
func (q *queue) list(out io.Writer) error {
	for item, err := range q.store.Scan(db.All()) {
		if err != nil {
			return err
		}
		value, err := item.Value()
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%s%d %s\n", item.Key()[:len(todo)], number(item.Key()), value); err != nil {
			return err
		}
	}
	return nil
}
