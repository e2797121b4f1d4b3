package measure

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/cordwood-db/cordwood/bench/result"
)

// probeSystem fills in what there is to know of processor, memory and kernel.
func probeSystem(m *result.Machine) {
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	if model, err := unix.Sysctl("machdep.cpu.brand_string"); err == nil {
		m.CPU = model
	}
	if memory, err := unix.SysctlUint64("hw.memsize"); err == nil {
		m.MemoryBytes = int64(memory)
	}
	// struct loadavg: three uint32 to be divided by a long.
	if raw, err := unix.SysctlRaw("vm.loadavg"); err == nil && len(raw) >= 24 {
		if scale := binary.LittleEndian.Uint64(raw[16:]); scale > 0 {
			m.Load = float64(binary.LittleEndian.Uint32(raw)) / float64(scale)
		}
	}
}

// probeVolume fills in what there is to know of the file system of dir.
func probeVolume(m *result.Machine, dir string) {
	var volume unix.Statfs_t
	if unix.Statfs(dir, &volume) != nil {
		return
	}
	m.FileSystem = unix.ByteSliceToString(volume.Fstypename[:])
	m.Device = unix.ByteSliceToString(volume.Mntfromname[:])
	m.FreeBytes = int64(volume.Bavail) * int64(volume.Bsize)
}
