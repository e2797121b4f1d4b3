package fault

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cordwood-db/cordwood/vfs"
)

// fileKind is a kind of file that faults strike.
type fileKind string

const (
	walFile      fileKind = "WAL"
	retainedFile fileKind = "old WAL" // kept for feeds, or about to be removed
	manifestFile fileKind = "MANIFEST"
	currentFile  fileKind = "CURRENT"
	tableFile    fileKind = "table"
	valueFile    fileKind = "value log"
	lockFile     fileKind = "LOCK"
	tempFile     fileKind = "temporary"
	directory    fileKind = "directory"
)

// touched is what a run does to each kind of file. A test sees that faults have
// struck all of it.
var touched = map[fileKind][]vfs.OpKind{
	walFile:      {vfs.OpCreate, vfs.OpOpen, vfs.OpOpenRW, vfs.OpRead, vfs.OpWrite, vfs.OpSync, vfs.OpPreallocate, vfs.OpClose},
	retainedFile: {vfs.OpOpen, vfs.OpRead, vfs.OpClose, vfs.OpRemove},
	manifestFile: {vfs.OpCreate, vfs.OpOpen, vfs.OpRead, vfs.OpWrite, vfs.OpSync, vfs.OpClose, vfs.OpRemove},
	currentFile:  {vfs.OpOpen, vfs.OpRead, vfs.OpClose, vfs.OpRename},
	tableFile:    {vfs.OpCreate, vfs.OpOpen, vfs.OpRead, vfs.OpWrite, vfs.OpSync, vfs.OpClose, vfs.OpRemove, vfs.OpLink},
	valueFile:    {vfs.OpCreate, vfs.OpOpen, vfs.OpRead, vfs.OpWrite, vfs.OpSync, vfs.OpClose, vfs.OpRemove, vfs.OpLink},
	lockFile:     {vfs.OpLock, vfs.OpClose},
	tempFile:     {vfs.OpCreate, vfs.OpWrite, vfs.OpSync, vfs.OpClose},
	directory:    {vfs.OpList, vfs.OpStat, vfs.OpSyncDir, vfs.OpMkdir},
}

// newestWAL is the number of the newest segment that was created.
type newestWAL struct{ atomic.Int64 }

// kindOf is the kind of file that an operation is about; "" for others.
func (n *newestWAL) kindOf(op vfs.Op) fileKind {
	switch op.Kind {
	case vfs.OpList, vfs.OpSyncDir, vfs.OpMkdir, vfs.OpFree:
		return directory
	}
	name := filepath.Base(op.Path)
	switch ext := filepath.Ext(name); {
	case name == "LOCK":
		return lockFile
	case name == "CURRENT":
		return currentFile
	case strings.HasPrefix(name, "MANIFEST-"):
		return manifestFile
	case ext == ".tmp":
		return tempFile
	case ext == ".sst":
		return tableFile
	case ext == ".vlog":
		return valueFile
	case ext == ".wal":
		number, _ := strconv.ParseInt(strings.TrimSuffix(name, ext), 10, 64)
		if op.Kind == vfs.OpCreate {
			n.Store(max(n.Load(), number))
		}
		if number < n.Load() {
			return retainedFile
		}
		return walFile
	case ext == "" && op.Kind == vfs.OpStat:
		return directory
	}
	return ""
}

// failure is a way to fail.
type failure struct {
	name  string
	fault vfs.Fault
	ops   []vfs.OpKind // what can fail so
	full  bool         // it says that the disk is full, and passes
}

// failures are all ways.
var failures = func() []failure {
	opens := []vfs.OpKind{vfs.OpOpen, vfs.OpOpenRW, vfs.OpCreate}
	names := append([]vfs.OpKind{vfs.OpRemove, vfs.OpRename, vfs.OpLink, vfs.OpMkdir, vfs.OpLock}, opens...)
	reads := []vfs.OpKind{vfs.OpRead, vfs.OpSize, vfs.OpStat, vfs.OpList, vfs.OpFree}
	writes, syncs := []vfs.OpKind{vfs.OpWrite}, []vfs.OpKind{vfs.OpSync, vfs.OpSyncDir}
	needsRoom := []vfs.OpKind{vfs.OpCreate, vfs.OpWrite, vfs.OpPreallocate, vfs.OpLink, vfs.OpMkdir, vfs.OpRename, vfs.OpLock}
	changes := slices.Concat(names, writes, syncs, []vfs.OpKind{vfs.OpPreallocate, vfs.OpTruncate})
	is := func(e syscall.Errno) vfs.Fault { return vfs.Fault{Err: e} }
	half := func(e syscall.Errno) vfs.Fault { return vfs.Fault{Err: e, Short: true} }
	return []failure{
		{name: "EIO", fault: is(syscall.EIO), ops: slices.Concat(changes, reads, []vfs.OpKind{vfs.OpClose, vfs.OpFlush})},
		{name: "EIO, half", fault: half(syscall.EIO), ops: writes},
		{name: "EIO, reads", fault: is(syscall.EIO), ops: append(reads, vfs.OpOpen)},
		{name: "EIO, syncs", fault: is(syscall.EIO), ops: syncs},
		{name: "ENOSPC", fault: is(syscall.ENOSPC), ops: needsRoom, full: true},
		{name: "ENOSPC, half", fault: half(syscall.ENOSPC), ops: writes, full: true},
		{name: "ENOSPC, syncs", fault: is(syscall.ENOSPC), ops: syncs},
		{name: "EDQUOT", fault: is(syscall.EDQUOT), ops: needsRoom, full: true},
		{name: "EMFILE", fault: is(syscall.EMFILE), ops: append([]vfs.OpKind{vfs.OpLock, vfs.OpList, vfs.OpSyncDir}, opens...)},
		// Not SyncDir: a directory that may not be read cannot be synced, and
		// those above the store need not be.
		{name: "EACCES", fault: is(syscall.EACCES), ops: append([]vfs.OpKind{vfs.OpList, vfs.OpStat}, names...)},
		{name: "EROFS", fault: is(syscall.EROFS), ops: slices.DeleteFunc(slices.Clone(changes), func(k vfs.OpKind) bool { return k == vfs.OpOpen })},
	}
}()

// target is a kind of file and a way in which operations on it fail.
type target struct {
	file   fileKind
	fail   *failure
	sticky bool
}

func (t *target) String() string {
	s := fmt.Sprintf("%s of %s", t.fail.name, t.file)
	if t.sticky {
		s += ", for ever"
	}
	return s
}

// hits reports whether the target fails operations of a kind.
func (t *target) hits(kind vfs.OpKind) bool { return slices.Contains(t.fail.ops, kind) }

// possible reports whether runs have operations that can fail so.
func (t *target) possible() bool { return slices.ContainsFunc(touched[t.file], t.hits) }

// targets are all there are, files and failures in turn.
var targets = func() (all []target) {
	for _, sticky := range []bool{false, true} {
		for i := range failures {
			for _, file := range slices.Sorted(maps.Keys(touched)) {
				if t := (target{file, &failures[i], sticky}); t.possible() {
					all = append(all, t)
				}
			}
		}
	}
	return all
}()

// lasts reports whether a store may become read-only. Tables can be written
// again, a full disk passes, and the lock is taken before there is a store.
func (t *target) lasts() bool {
	return !t.fail.full && t.file != tableFile && t.file != lockFile
}

// reads reports whether reads of the store may fail.
func (t *target) reads() bool {
	return (t.file == tableFile || t.file == valueFile) && t.hits(vfs.OpOpen)
}

// feeds reports whether a change feed may fail, which reads the log.
func (t *target) feeds() bool {
	return t.reads() || t.hits(vfs.OpOpen) || t.hits(vfs.OpList)
}

// tally counts which faults there were. Safe for concurrent use.
type tally struct {
	mu    sync.Mutex
	cells map[string]int // by target
	ops   map[string]int // by kind of file and operation
}

func (c *tally) add(t *target, op vfs.Op) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cells == nil {
		c.cells, c.ops = make(map[string]int), make(map[string]int)
	}
	c.cells[t.String()]++
	c.ops[opName(op.Kind, t.file)]++
}

// opName is a kind of operation on a kind of file.
func opName(kind vfs.OpKind, file fileKind) string { return fmt.Sprintf("%v of %s", kind, file) }

// lacks reports whether a fault of the target, or of the operation on its kind
// of file, has not been seen.
func (c *tally) lacks(t *target, kind vfs.OpKind) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cells[t.String()] == 0 || c.ops[opName(kind, t.file)] == 0
}

// whole reports whether every cell of the matrix has had its faults.
func (c *tally) whole() bool {
	for i := range targets {
		for _, kind := range touched[targets[i].file] {
			if targets[i].hits(kind) && c.lacks(&targets[i], kind) {
				return false
			}
		}
	}
	return true
}

// report logs the matrix. whole: every cell of it must have had its faults.
func (c *tally) report(t *testing.T, whole bool) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	files := slices.Sorted(maps.Keys(touched))
	var b strings.Builder
	fmt.Fprintf(&b, "first faults of concurrent runs, once/for ever\n%-15s", "")
	for _, file := range files {
		fmt.Fprintf(&b, "%12s", file)
	}
	for i := range failures {
		fmt.Fprintf(&b, "\n%-15s", failures[i].name)
		for _, file := range files {
			once, ever := target{file, &failures[i], false}, target{file, &failures[i], true}
			if !once.possible() {
				fmt.Fprintf(&b, "%12s", "-")
				continue
			}
			a, n := c.cells[once.String()], c.cells[ever.String()]
			fmt.Fprintf(&b, "%12s", fmt.Sprintf("%d/%d", a, n))
			if whole && (a == 0 || n == 0) {
				t.Errorf("no fault: %v, %v", &once, &ever)
			}
		}
	}
	for _, file := range files {
		fmt.Fprintf(&b, "\n%s:", file)
		for _, kind := range touched[file] {
			n := c.ops[opName(kind, file)]
			fmt.Fprintf(&b, " %v %d", kind, n)
			if whole && n == 0 {
				t.Errorf("no fault strikes a %v of a %s", kind, file)
			}
		}
	}
	t.Log(b.String())
}
