// Wordcount counts words with a merge operator: a count is raised without being
// read, so a batch of a thousand words is a thousand blind writes.
//
//	go run ./examples/wordcount README.md ARCHITECTURE.md
//
// Without files it reads standard input. It prints the ten most frequent words.
package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"slices"
	"strings"
	"unicode"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/vfs"
)

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}

// run counts the words of the named files, or of in, and prints to out.
func run(names []string, in io.Reader, out io.Writer) (err error) {
	store, err := db.Open("words", &db.Options{FS: vfs.NewMem(), Merge: db.Counter()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	if len(names) == 0 {
		if err := count(store, in); err != nil {
			return err
		}
	}
	for _, name := range names {
		if err := countFile(store, name); err != nil {
			return err
		}
	}
	return report(store, out, 10)
}

func countFile(store *db.DB, name string) (err error) {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return count(store, f)
}

// batchWords is how many words are committed together.
const batchWords = 1000

// count raises the count of each word of r by one.
func count(store *db.DB, r io.Reader) error {
	words := bufio.NewScanner(r)
	words.Split(bufio.ScanWords)
	one := db.CounterBytes(1)
	var batch db.Batch
	for words.Scan() {
		word := strings.ToLower(strings.TrimFunc(words.Text(), func(r rune) bool { return !unicode.IsLetter(r) }))
		if word == "" {
			continue
		}
		if err := batch.Merge([]byte(word), one); err != nil {
			return err
		}
		if batch.Len() == batchWords {
			if err := store.Apply(&batch, db.NoSync); err != nil {
				return err
			}
			batch.Reset()
		}
	}
	if err := words.Err(); err != nil {
		return err
	}
	return store.Apply(&batch, db.NoSync)
}

// report prints the most frequent words. Keys come in order, counts do not.
func report(store *db.DB, out io.Writer, most int) error {
	type entry struct {
		word  string
		count int64
	}
	var entries []entry
	for item, err := range store.Scan(db.All()) {
		if err != nil {
			return err
		}
		value, err := item.Value()
		if err != nil {
			return err
		}
		n, err := db.CounterValue(value)
		if err != nil {
			return err
		}
		entries = append(entries, entry{string(item.Key()), n})
	}
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Compare(b.count, a.count) })
	for _, e := range entries[:min(most, len(entries))] {
		if _, err := fmt.Fprintf(out, "%6d %s\n", e.count, e.word); err != nil {
			return err
		}
	}
	return nil
}
