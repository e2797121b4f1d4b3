package measure

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestTheMeterSeesThePeakOfMemoryThatIsGone(t *testing.T) {
	const size = 64 << 20
	before := Resident()
	if before < 1<<20 {
		t.Fatalf("%d bytes resident", before)
	}
	m := StartMeter()
	memory, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < size; i += 4096 {
		memory[i] = 1
	}
	if now := Resident(); now < before+size/2 {
		t.Errorf("%d bytes resident, before %d", now, before)
	}
	if err := unix.Munmap(memory); err != nil {
		t.Fatal(err)
	}
	first := m.Stop().PeakBytes
	if first < size {
		t.Errorf("the peak was %d bytes", first)
	}
	refs, err := os.OpenFile("/proc/self/clear_refs", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("the peak cannot be reset here")
	}
	refs.Close()
	if second := StartMeter().Stop().PeakBytes; second > first-size/2 {
		t.Errorf("the peak of the next meter is %d bytes, that of the first %d", second, first)
	}
}

func TestTheMeterSeesWhatIsWritten(t *testing.T) {
	dir := t.TempDir()
	if _, err := os.ReadFile("/proc/self/io"); err != nil {
		t.Skip("the kernel does not count")
	}
	if !onDisk(dir) {
		t.Skip("the temporary directory is in memory")
	}
	const size = 1 << 20
	name := filepath.Join(dir, "file")
	m := StartMeter()
	if err := os.WriteFile(name, make([]byte, size), 0o600); err != nil {
		t.Fatal(err)
	}
	c := m.Stop()
	if c.WriteCalls < size || c.WrittenBytes < size || c.WriteCalls > 2*size {
		t.Errorf("%+v", c)
	}
	if _, err := os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	if c := m.Stop(); c.ReadCalls < size {
		t.Errorf("%+v", c)
	}

	// A byte in each page of a map is a page each, and no call.
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	memory, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	m = StartMeter()
	for i := 0; i < size; i += os.Getpagesize() {
		memory[i] = 1
	}
	c = m.Stop()
	if err := unix.Munmap(memory); err != nil {
		t.Fatal(err)
	}
	if c.WrittenBytes < size || c.WriteCalls >= size {
		t.Errorf("through a map: %+v", c)
	}
}

// onDisk: dir is on a file system whose pages have to be written somewhere.
func onDisk(dir string) bool {
	switch mountOf(readText("/proc/self/mountinfo"), dir).fileSystem {
	case "ext4", "xfs", "btrfs":
		return true
	}
	return false
}

func TestCountersOfTheKernelAreRead(t *testing.T) {
	const text = "rchar: 4\nwchar: 5\nsyscr: 6\nsyscw: 7\nread_bytes: 8192\nwrite_bytes: 12288\ncancelled_write_bytes: 4096\n"
	want := ioBytes{read: 8192, written: 12288, cancelled: 4096, readCalls: 4, writeCalls: 5}
	if got := parseIO(text); got != want {
		t.Errorf("%+v", got)
	}
	for _, text := range []string{"", "read_bytes", "read_bytes:", "read_bytes: x\n", "read_bytes: 99999999999999999999\n"} {
		if got := parseIO(text); got != (ioBytes{}) {
			t.Errorf("%q: %+v", text, got)
		}
	}
}
