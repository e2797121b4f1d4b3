package enginetest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/google/btree"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// markName is the file in a store's folder that tells which store it is.
const markName = "MEMORY"

// treeDegree is the number of children of a node.
const treeDegree = 32

var errClosed = errors.New("enginetest: the store is closed")

// Memory describes an engine that keeps everything in memory, with all
// abilities. It is not registered.
//
// A store is kept after Close, for as long as the process runs, and opened again
// with the same Options.Dir; a small file in the folder is what names it. If the
// folder is removed or emptied, the next store there is an empty one. Another
// process cannot open it and gets an error.
func Memory() *engine.Engine {
	return &engine.Engine{
		Name:      "memory",
		Title:     "Memory",
		Module:    "github.com/google/btree",
		Abilities: engine.Merge | engine.TTL | engine.Transactions | engine.ValueLog,
		Settings: func(engine.Options) []engine.Setting {
			return []engine.Setting{
				{Name: "degree", Value: strconv.Itoa(treeDegree), Why: "in the middle of what the library's benchmarks use"},
				{Name: "durability", Value: "none", Why: "all data is in memory: Sync is ignored, nothing survives the process"},
			}
		},
		Open: func(o engine.Options) (engine.Store, error) { return openMemory(o.Dir) },
	}
}

// entry is one key with its value. It is never changed, but replaced.
type entry struct {
	key, value []byte
	seq        uint64 // of the write that made it
	expires    int64  // Unix time in nanoseconds; 0: never
}

func (e *entry) live(now int64) bool { return e.expires == 0 || now < e.expires }

// own copies a key; it is never nil, even if empty.
func own(key []byte) []byte { return append([]byte{}, key...) }

type tree = btree.BTreeG[*entry]

func newTree() *tree {
	return btree.NewG(treeDegree, func(a, b *entry) bool { return bytes.Compare(a.key, b.key) < 0 })
}

// held are the stores of this process, by the number in their folder.
var held struct {
	sync.Mutex
	stores map[uint64]*contents
	last   uint64
}

// contents is what outlives the closing of a store.
type contents struct {
	sync.RWMutex
	tree *tree
	seq  uint64 // of the last write
	open bool
}

func openMemory(dir string) (*memory, error) {
	held.Lock()
	defer held.Unlock()
	mark := filepath.Join(dir, markName)
	text, err := os.ReadFile(mark)
	if errors.Is(err, fs.ErrNotExist) {
		return newMemory(mark)
	}
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text))
	if len(fields) != 2 || fields[0] != strconv.Itoa(os.Getpid()) {
		return nil, fmt.Errorf("enginetest: the store in %s was in the memory of another process", dir)
	}
	number, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("enginetest: %s: %w", mark, err)
	}
	c := held.stores[number]
	if c == nil {
		return nil, fmt.Errorf("enginetest: the store in %s was in the memory of another process", dir)
	}
	c.Lock()
	defer c.Unlock()
	if c.open {
		return nil, fmt.Errorf("enginetest: the store in %s is open already", dir)
	}
	c.open = true
	return &memory{contents: c}, nil
}

// newMemory makes an empty store and marks its folder.
func newMemory(mark string) (*memory, error) {
	held.last++
	text := fmt.Sprintf("%d %d\n", os.Getpid(), held.last)
	if err := os.WriteFile(mark, []byte(text), 0o644); err != nil {
		return nil, err
	}
	if held.stores == nil {
		held.stores = make(map[uint64]*contents)
	}
	c := &contents{tree: newTree(), open: true}
	held.stores[held.last] = c
	return &memory{contents: c}, nil
}
