package damage

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/cordwood-db/cordwood/db"
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/vfs"
	"github.com/cordwood-db/cordwood/wal"
)

// dir is where the store is in its file system.
const dir = "/store"

// checkTime is the time at which stores are checked, an hour after they were
// written.
var checkTime = time.Unix(2e9, 0)

// State is what a store holds at checkTime.
type State map[string]string

// Store is an undamaged store.
type Store struct {
	Name  string
	FS    *vfs.Mem // don't change it: KillClone it
	Older *vfs.Mem // the same files some writes earlier
	Files []string // base names, sorted
	// States are what the store held after the commits that are in its log,
	// [0] before the first of them; the last one is what it holds.
	//
	// The end of a log cannot be told from a torn write once nothing behind it
	// proves that it was durable: if the last record and the proof behind it
	// are both gone or damaged, an earlier state is what a power loss could
	// have left. A damaged record with any whole one behind it is no such case.
	States []*View
	// Ends are the offsets behind those commits in the log's only segment.
	Ends []int64
	Log  string // that segment; empty in a closed store
}

// sideName is the keyspace of keys of some kinds; the others are in the default
// one.
const sideName = "side"

// spaceOf is the name of the keyspace of a key.
func spaceOf(key string) string {
	if strings.HasPrefix(key, "m") || strings.HasPrefix(key, "t") || strings.HasPrefix(key, "w") {
		return sideName
	}
	return ""
}

// side opens the keyspace sideName.
func side(store *db.DB) (*db.Keyspace, error) {
	return store.Keyspace(sideName, &db.KeyspaceOptions{Merge: db.Append(), MustExist: true})
}

// View is a state with what reads need to check it.
type View struct {
	State
	keys   []string // of the state, ascending
	probes []string // keys to look up: those, and some that there are not, or not any more

	main, side *View // the parts that the keyspaces have
}

// in is the part of the view that a keyspace has.
func (v *View) in(space string) *View {
	other := func(k string) bool { return spaceOf(k) != space }
	return &View{State: v.State, keys: slices.DeleteFunc(slices.Clone(v.keys), other),
		probes: slices.DeleteFunc(slices.Clone(v.probes), other)}
}

func newView(s State) *View {
	v := &View{State: maps.Clone(s), keys: slices.Sorted(maps.Keys(s))}
	v.probes = append(slices.Clone(v.keys), "b", "zzz")
	for i := range 60 {
		v.probes = append(v.probes, key("a", i), key("l", i%30), key("t", i), key("tl", i))
	}
	slices.Sort(v.probes)
	v.probes = slices.Compact(v.probes)
	v.main, v.side = v.in(""), v.in(sideName)
	return v
}

// Want is what the store holds.
func (s *Store) Want() *View { return s.States[len(s.States)-1] }

// Options open a store of this package on a file system.
func Options(fsys vfs.FS, now time.Time) db.Options {
	return db.Options{
		FS: fsys, Clock: func() time.Time { return now }, Merge: db.Append(),
		MemoryMax: 1 << 20, MemtableBytes: 4 << 10, BlockBytes: 512, TableBytes: 3 << 10,
		ValueThreshold: 100, SyncInterval: -1, CompactionsMax: 1, OpenFilesMax: 64,
	}
}

// builder writes a store and remembers what it wrote.
type builder struct {
	store  *db.DB
	side   *db.Keyspace
	fs     *vfs.Mem
	levels int
	older  *vfs.Mem // a copy from halfway through the log
	state  State
	log    []*View
	err    error
}

func (b *builder) note(err error) {
	if b.err == nil {
		b.err = err
	}
	b.log = append(b.log, newView(b.state))
}

// at writes to the keyspace of a key.
func (b *builder) at(key string) *db.Keyspace {
	if spaceOf(key) == sideName {
		return b.side
	}
	return b.store.Default()
}

func (b *builder) put(key, value string) {
	b.state[key] = value
	b.note(b.at(key).Put([]byte(key), []byte(value)))
}

func (b *builder) putTTL(key, value string, ttl time.Duration) {
	if ttl > time.Hour {
		b.state[key] = value
	} else {
		delete(b.state, key) // expired by the time of the check
	}
	b.note(b.at(key).PutTTL([]byte(key), []byte(value), ttl))
}

func (b *builder) delete(key string) {
	delete(b.state, key)
	b.note(b.at(key).Delete([]byte(key)))
}

func (b *builder) merge(key, operand string) {
	b.state[key] += operand
	b.note(b.at(key).Merge([]byte(key), []byte(operand)))
}

func (b *builder) deleteRange(from, to string) {
	maps.DeleteFunc(b.state, func(k, _ string) bool { return from <= k && k < to })
	b.note(b.at(from).DeleteRange(db.Between([]byte(from), []byte(to))))
}

func (b *builder) do(err error) {
	if b.err == nil {
		b.err = err
	}
}

func small(tag string, i int) string { return fmt.Sprintf("%s-value-%d", tag, i*i) }

// large is a value for the value log.
func large(tag string, i int) string {
	return fmt.Sprintf("%s-large-%d-", tag, i) + strings.Repeat(string(rune('a'+i%26)), 120+i%40)
}

// noise is a value for a table that does not compress.
func noise(i, n int) string {
	var s strings.Builder
	for r := rand.New(rand.NewPCG(uint64(i), 1)); s.Len() < n; {
		s.WriteByte(byte(r.Uint32()))
	}
	return s.String()
}

func key(kind string, i int) string { return fmt.Sprintf("%s/%03d", kind, i) }

// Build writes both forms of the store. A machine that is very busy may let a
// second pass in which the store, idle, flushes what only the log was to hold:
// then it is built again.
func Build() (closed, killed *Store, err error) {
	for range 20 {
		if closed, killed, err = build(); err == nil {
			break
		}
	}
	return closed, killed, err
}

func build() (closed, killed *Store, err error) {
	b := &builder{fs: vfs.NewMem(), state: State{}}
	opts := Options(b.fs, checkTime.Add(-time.Hour))
	opts.MemtableBytes = 2 << 10              // for several levels
	opts.SyncInterval = 10 * time.Millisecond // the log is to end in a proof
	if b.store, err = db.Open(dir, &opts); err != nil {
		return nil, nil, err
	}
	if b.side, err = b.store.Keyspace(sideName, &db.KeyspaceOptions{Merge: db.Append(), BlockBytes: 300}); err != nil {
		return nil, nil, errors.Join(err, b.store.Close())
	}
	b.bottom()
	b.middle()
	b.upper()
	b.do(b.store.Put([]byte("zz/last"), []byte("table")))
	b.state["zz/last"] = "table"
	b.do(b.store.Flush(context.Background()))
	b.countLevels()
	b.log = []*View{newView(b.state)}
	b.logged()
	killedFS, err := b.kill()
	if err != nil {
		return nil, nil, errors.Join(b.err, err, b.store.Close())
	}
	killed = &Store{Name: "killed", FS: killedFS, Older: b.older, States: b.log}
	if err := errors.Join(b.err, b.store.Close(), killed.readLog()); err != nil {
		return nil, nil, err
	}
	if err := b.shape(killedFS); err != nil {
		return nil, nil, err
	}
	closed = &Store{Name: "closed", FS: b.fs, Older: killedFS, States: []*View{newView(b.state)}}
	return closed, killed, errors.Join(closed.list(), killed.list())
}

// bottom writes tables of the last level and a value-log file that has been
// rewritten.
func (b *builder) bottom() {
	ctx := context.Background()
	for i := range 60 {
		b.put(key("a", i), small("old", i))
		b.put(key("b", i), noise(i, 90))
		b.put(key("l", i%30), large("old", i))
		if i%4 == 0 {
			b.put(key("m", i), "base")
			b.putTTL(key("t", i), small("ttl", i), time.Duration(1+i%8)*20*time.Minute)
			b.putTTL(key("tl", i), large("ttl", i), time.Duration(1+i%8)*20*time.Minute)
		}
	}
	b.do(b.store.Compact(ctx, db.All()))
	b.do(b.side.Compact(ctx, db.All()))
	b.do(b.store.CollectGarbage(ctx, 0.01))
}

// middle writes tables of a level between them.
func (b *builder) middle() {
	for round := range 8 {
		for i := range 3 {
			b.put(key("b", i*20+round), noise(i+100, 90))
			b.put(key("a", i*20+round), small("middle", i))
			b.put(key("l", (i*9+round)%30), large("middle", i))
			b.merge(key("m", i*18+round), "-middle")
		}
		if round == 1 {
			b.delete(key("b", 9))
			b.deleteRange(key("b", 30), key("b", 33))
		}
		b.do(b.store.Flush(context.Background()))
	}
	for range 200 {
		if m := b.store.Metrics(); m.Levels[0].Tables == 0 && m.CompactionsRunning == 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.do(fmt.Errorf("level 0 was not compacted: %+v", b.store.Metrics().Levels))
}

// upper writes tables above them, with everything that hides what is below.
func (b *builder) upper() {
	ctx := context.Background()
	for i := 0; i < 60; i += 3 {
		b.put(key("a", i), small("new", i))
		b.merge(key("m", i), fmt.Sprint("+", i))
	}
	b.deleteRange(key("a", 20), key("a", 26))
	for i := 1; i < 60; i += 9 {
		b.delete(key("a", i))
	}
	b.do(b.store.Flush(ctx))
	b.putTTL(key("a", 2), "expired over an old value", time.Minute)
	b.put(key("l", 3), large("new", 3))
	b.put("", "empty key")
	b.put(key("e", 1), "")
	b.deleteRange(key("l", 10), key("l", 12))
	for i := range 8 {
		b.merge(key("m", 100+i%3), fmt.Sprint("*", i))
	}
	b.do(b.store.Flush(ctx))
}

// logged writes what only the log holds.
func (b *builder) logged() {
	for i := range 6 {
		b.put(key("a", 10+i), small("logged", i))
		b.do(b.store.Sync())
		b.put(key("w", i), large("logged", i))
		b.do(b.store.Sync())
	}
	b.older = b.fs.KillClone()
	b.delete(key("a", 4))
	b.do(b.store.Sync())
	b.merge(key("m", 0), "+logged")
	b.do(b.store.Sync())
	b.deleteRange(key("a", 40), key("a", 44))
	b.do(b.store.Sync())
	b.putTTL(key("a", 5), "expired", time.Minute)
	b.do(b.store.Sync())
	b.put(key("w", 9), "last")
}

// kill is what a killed process would leave once an idle store has synced its
// log and has said so at the log's end.
func (b *builder) kill() (*vfs.Mem, error) {
	for range 200 {
		time.Sleep(5 * time.Millisecond)
		image := b.fs.KillClone()
		_, segment, err := onlySegment(image)
		if err != nil {
			continue // the retired one is still to be removed
		}
		proven := true
		_, err = wal.Replay(image, dir, segment, func(r wal.ReplayRecord) error {
			proven = proven && r.Proven
			return nil
		})
		if err != nil || proven {
			return image, err
		}
	}
	return nil, errors.New("the log was never proven to be synced")
}

// onlySegment is the one WAL segment that there should be.
func onlySegment(fsys *vfs.Mem) (string, base.SegmentNum, error) {
	names, err := list(fsys)
	if err != nil {
		return "", 0, err
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".wal") })
	if len(names) != 1 {
		return "", 0, fmt.Errorf("WAL segments %q, want one", names)
	}
	_, num := base.ParseFileName(names[0])
	return names[0], base.SegmentNum(num), nil
}

// shape checks that the store has all that should be damaged.
func (b *builder) shape(fsys *vfs.Mem) error {
	names, err := list(fsys)
	if err != nil {
		return err
	}
	const flagsAt = 12
	kinds, rewritten := make(map[string]int), false
	for _, name := range names {
		kinds[kind(name)]++
		if kind(name) == ".vlog" {
			data, err := readFile(fsys, name)
			if err != nil {
				return err
			}
			rewritten = rewritten || data[flagsAt] != 0
		}
	}
	if !rewritten || b.levels < 3 || kinds[".sst"] < 5 || kinds[".vlog"] < 3 {
		return fmt.Errorf("files %v on %d levels, a rewritten one: %v", kinds, b.levels, rewritten)
	}
	return nil
}

// countLevels remembers on how many levels there are tables.
func (b *builder) countLevels() {
	for _, l := range b.store.Metrics().Levels {
		if l.Tables > 0 {
			b.levels++
		}
	}
}

// readLog fills Log and Ends.
func (s *Store) readLog() error {
	name, segment, err := onlySegment(s.FS)
	if err != nil {
		return err
	}
	s.Log = name
	data, err := readFile(s.FS, name)
	if err != nil {
		return err
	}
	start := binary.LittleEndian.Uint64(data[32:]) // the LSN of offset 0
	_, err = wal.Replay(s.FS, dir, segment, func(r wal.ReplayRecord) error {
		s.Ends = append(s.Ends, int64(r.EndLSN-start))
		return nil
	})
	if err == nil && len(s.Ends) != len(s.States)-1 {
		err = fmt.Errorf("%d commits in the log, want %d", len(s.Ends), len(s.States)-1)
	}
	return err
}

func (s *Store) list() (err error) {
	s.Files, err = list(s.FS)
	return err
}

// list is the names of a store's files.
func list(fsys vfs.FS) ([]string, error) {
	infos, err := fsys.List(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range infos {
		names = append(names, f.Name)
	}
	return names, nil
}

// readFile is the contents of a file of a store.
func readFile(fsys vfs.FS, name string) ([]byte, error) {
	return vfs.ReadFile(fsys, filepath.Join(dir, name), 1<<24)
}

// writeFile replaces or makes a file of a store.
func writeFile(fsys vfs.FS, name string, data []byte) error {
	path := filepath.Join(dir, name)
	f, err := fsys.Create(path)
	if errors.Is(err, fs.ErrExist) {
		f, err = fsys.OpenReadWrite(path)
	}
	if err != nil {
		return err
	}
	err = f.Truncate(0)
	if _, werr := f.WriteAt(bytes.Clone(data), 0); err == nil {
		err = werr
	}
	return errors.Join(err, f.Close())
}
