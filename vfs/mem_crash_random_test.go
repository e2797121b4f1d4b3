package vfs

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// The random crash test keeps its own books about what a crash may leave,
// knowing nothing of how Mem keeps its own. Every file starts with its number,
// synced at once and never overwritten, so that it is known by any name.

// bookedFile is what the test knows about one file.
type bookedFile struct {
	id     uint64
	f      File
	synced []byte // at the last Sync
	now    []byte
	dirty  map[int64]bool // sectors written since
	shrunk bool           // since then
	linked bool           // it had more than one name at some time
}

// books is what the test knows about the file system.
type books struct {
	m       *Mem
	rng     *rand.Rand
	files   map[uint64]*bookedFile
	live    map[string]uint64          // path to file
	durable map[string]uint64          // at the last SyncDir of its directory
	touched map[string]map[uint64]bool // since then: files that the path has named; 0: none
	history []string
}

var bookDirs = []string{"/db", "/db/sub"}

func newBooks(t *testing.T, rng *rand.Rand) *books {
	m := newDB(t)
	must(t, m.MkdirAll("/db/sub"))
	must(t, m.SyncDir("/db"))
	return &books{m: m, rng: rng, files: map[uint64]*bookedFile{}, live: map[string]uint64{},
		durable: map[string]uint64{}, touched: map[string]map[uint64]bool{}}
}

func (b *books) path() string {
	return fmt.Sprintf("%s/%c", bookDirs[b.rng.IntN(2)], 'a'+rune(b.rng.IntN(4)))
}

// touch notes that path will name id (0: nothing) from now on.
func (b *books) touch(path string, id uint64) {
	if b.touched[path] == nil {
		b.touched[path] = map[uint64]bool{b.live[path]: true}
	}
	b.touched[path][id] = true
	if id == 0 {
		delete(b.live, path)
	} else {
		b.live[path] = id
	}
}

func (b *books) step(t *testing.T) {
	p, q := b.path(), b.path()
	id, there := b.live[p], b.live[q]
	choice := b.rng.IntN(12)
	b.history = append(b.history, fmt.Sprint(choice, " ", p, " ", q))
	switch {
	case choice == 0:
		dir := bookDirs[b.rng.IntN(2)]
		b.history = append(b.history, dir)
		must(t, b.m.SyncDir(dir))
		b.syncDir(dir)
	case id == 0:
		b.create(t, p)
	case choice == 1:
		must(t, b.m.Remove(p))
		b.touch(p, 0)
	case choice == 2 && p != q && there != id:
		must(t, b.m.Rename(p, q))
		b.touch(p, 0)
		b.touch(q, id)
	case choice == 3 && there == 0:
		must(t, b.m.Link(p, q))
		b.touch(q, id)
		b.files[id].linked = true
	case choice == 4:
		b.files[id].sync(t)
	case choice == 5:
		b.files[id].truncate(t, 512+b.rng.Int64N(4000))
	default:
		b.files[id].write(t, 512+b.rng.Int64N(3000), byte(1+b.rng.IntN(255)), b.rng.IntN(1500))
	}
}

func (b *books) create(t *testing.T, p string) {
	f, err := b.m.Create(p)
	must(t, err)
	id := uint64(len(b.files) + 1)
	bf := &bookedFile{id: id, f: f, now: binary.LittleEndian.AppendUint64(nil, id)}
	_, err = f.WriteAt(bf.now, 0)
	must(t, err)
	bf.sync(t)
	b.files[id] = bf
	b.touch(p, id)
}

// syncDir forgets what was not durable in dir; a rename across directories is
// then durable in the other one too, or not: nothing is claimed there.
func (b *books) syncDir(dir string) {
	for p := range b.touched {
		if p[:len(p)-2] == dir {
			delete(b.touched, p)
		}
	}
	for p := range b.durable {
		if p[:len(p)-2] == dir {
			delete(b.durable, p)
		}
	}
	for p, id := range b.live {
		if p[:len(p)-2] == dir {
			b.durable[p] = id
		}
	}
}

func (bf *bookedFile) sync(t *testing.T) {
	must(t, bf.f.Sync())
	bf.synced, bf.dirty, bf.shrunk = slices.Clone(bf.now), map[int64]bool{}, false
}

func (bf *bookedFile) truncate(t *testing.T, size int64) {
	must(t, bf.f.Truncate(size))
	if n := int64(len(bf.now)); size < n {
		bf.now, bf.shrunk = bf.now[:size:size], true
	} else {
		bf.now = append(bf.now, make([]byte, size-n)...)
	}
}

func (bf *bookedFile) write(t *testing.T, off int64, fill byte, n int) {
	data := make([]byte, n)
	for i := range data {
		data[i] = fill
	}
	_, err := bf.f.WriteAt(data, off)
	must(t, err)
	if n == 0 {
		return
	}
	if end := off + int64(n); end > int64(len(bf.now)) {
		bf.now = append(bf.now, make([]byte, end-int64(len(bf.now)))...)
	}
	copy(bf.now[off:], data)
	for s := off / sectorBytes; s <= (off+int64(n)-1)/sectorBytes; s++ {
		bf.dirty[s] = true
	}
}

// check compares an image with the books.
func (b *books) check(img *Mem) error {
	found := map[uint64]int{}
	named := map[string]uint64{}
	for _, dir := range bookDirs {
		infos, err := img.List(dir)
		if err != nil {
			return err
		}
		for _, info := range infos {
			if info.IsDir {
				continue
			}
			path := dir + "/" + info.Name
			data, err := ReadFile(img, path, 1<<20)
			if err != nil {
				return err
			}
			if len(data) < 8 {
				return fmt.Errorf("%s lost its synced first bytes", path)
			}
			id := binary.LittleEndian.Uint64(data)
			found[id]++
			named[path] = id
			if err := b.files[id].check(data); err != nil {
				return fmt.Errorf("%s, file %d: %w", path, id, err)
			}
		}
	}
	return b.checkNames(named, found)
}

func (b *books) checkNames(named map[string]uint64, found map[uint64]int) error {
	paths := maps.Clone(named)
	maps.Copy(paths, b.durable)
	for path := range paths {
		id := named[path]
		if seen := b.touched[path]; seen == nil && id != b.durable[path] {
			return fmt.Errorf("%s names file %d, durable is %d", path, id, b.durable[path])
		} else if seen != nil && !seen[id] && id != b.durable[path] {
			return fmt.Errorf("%s names file %d, which it never did since it was durable", path, id)
		}
	}
	alive := map[uint64]bool{}
	for _, id := range b.live {
		alive[id] = true
	}
	for _, id := range b.durable {
		if alive[id] && found[id] == 0 {
			return fmt.Errorf("file %d had a durable name, was never removed, and is lost", id)
		}
	}
	for id, n := range found {
		if n > 1 && !b.files[id].linked {
			return fmt.Errorf("half a rename: file %d has %d names", id, n)
		}
	}
	return nil
}

// check says whether data may be what a crash left of the file.
func (bf *bookedFile) check(data []byte) error {
	if bf.shrunk { // then only what no shrinking or write can have reached is sure
		data = data[:min(len(data), 8)]
	} else if len(data) < len(bf.synced) {
		return fmt.Errorf("%d bytes, %d were synced", len(data), len(bf.synced))
	}
	at := func(b []byte, i int) byte {
		if i < len(b) {
			return b[i]
		}
		return 0
	}
	for start := 0; start < len(data); start += sectorBytes {
		sec := data[start:min(len(data), start+sectorBytes)]
		fresh := bf.dirty[int64(start/sectorBytes)] // a prefix of it may be new
		for i, c := range sec {
			if fresh && c == at(bf.now, start+i) {
				continue
			}
			fresh = false
			if c != at(bf.synced, start+i) {
				return fmt.Errorf("offset %d holds %#x, neither old nor new", start+i, c)
			}
		}
	}
	return nil
}

func TestRandomCrashesLoseNothingSynced(t *testing.T) {
	rng := rand.New(rand.NewPCG(testkit.Seed(t), 1))
	rounds := 10
	if testing.Short() {
		rounds = 3
	}
	for range rounds {
		b := newBooks(t, rng)
		for range 80 {
			b.step(t)
			pickers := map[string]func(CrashItem) CrashChoice{
				"none":   nil,
				"random": func(CrashItem) CrashChoice { return CrashChoice(rng.IntN(3)) },
				"names":  func(c CrashItem) CrashChoice { return CrashChoice(rng.IntN(2) * btoi(c.Dir)) },
				"all":    func(CrashItem) CrashChoice { return CrashKeep },
				"tear":   func(CrashItem) CrashChoice { return CrashTear },
			}
			for name, pick := range pickers {
				if err := b.check(b.m.CrashClone(pick)); err != nil {
					t.Fatalf("%s: %v\nafter %q", name, err, b.history)
				}
			}
			if all := b.m.CrashClone(pickers["all"]); tree(t, all) != tree(t, b.m) {
				t.Fatalf("keeping everything gives\n%s\nthe live tree is\n%s\nafter %q", tree(t, all), tree(t, b.m), b.history)
			}
			b.checkKill(t)
		}
	}
}

// checkKill wants a killed process to leave the live tree, and a crash after
// that to have the same choices.
func (b *books) checkKill(t *testing.T) {
	killed := b.m.KillClone()
	if got, want := tree(t, killed), tree(t, b.m); got != want {
		t.Fatalf("after a kill\n%s\nbefore\n%s\nafter %q", got, want, b.history)
	}
	// Files that only the dead process could reach are not in the clone.
	if got, want := fmt.Sprint(killed.Unsynced()), fmt.Sprint(b.m.Unsynced()); got != want {
		t.Fatalf("un-synced after a kill\n%s\nbefore\n%s\nafter %q", got, want, b.history)
	}
	seed := b.rng.Uint64()
	crash := func(m *Mem) string {
		rng := rand.New(rand.NewPCG(seed, 2))
		return tree(t, m.CrashClone(func(CrashItem) CrashChoice { return CrashChoice(rng.IntN(3)) }))
	}
	if got, want := crash(killed), crash(b.m); got != want {
		t.Fatalf("a crash after a kill\n%s\nwithout it\n%s\nafter %q", got, want, b.history)
	}
}

// tree describes both directories.
func tree(t *testing.T, m *Mem) string {
	t.Helper()
	out := ""
	for _, dir := range bookDirs {
		infos, err := m.List(dir)
		must(t, err)
		for _, info := range infos {
			out += fmt.Sprintf("%s/%s", dir, info.Name)
			if !info.IsDir {
				data, err := ReadFile(m, dir+"/"+info.Name, 1<<20)
				must(t, err)
				out += "=" + runs(data)
			}
			out += "\n"
		}
	}
	return out
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
