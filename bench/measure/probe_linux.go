package measure

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/cordwood-db/cordwood/bench/result"
)

// probeSystem fills in what there is to know of processor, memory and kernel.
func probeSystem(m *result.Machine) {
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	m.CPU = cpuModel(readText("/proc/cpuinfo"))
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) == nil {
		m.MemoryBytes = int64(info.Totalram) * int64(info.Unit)
	}
	if limit := memoryLimit("/sys/fs/cgroup", readText("/proc/self/cgroup")); limit > 0 {
		m.MemoryBytes = min(m.MemoryBytes, limit)
	}
	// A text that is no number leaves zero: not known.
	_, _ = fmt.Sscan(readText("/proc/loadavg"), &m.Load)
}

// probeVolume fills in what there is to know of the file system of dir.
func probeVolume(m *result.Machine, dir string) {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	on := mountOf(readText("/proc/self/mountinfo"), dir)
	m.FileSystem, m.Device = on.fileSystem, on.source
	if model := deviceModel("/sys/dev/block/" + on.number); model != "" {
		m.Device += " (" + model + ")"
	}
	var volume unix.Statfs_t
	if unix.Statfs(dir, &volume) == nil {
		m.FreeBytes = int64(volume.Bavail) * int64(volume.Bsize)
	}
}

// readText is a file of the kernel's; empty if it cannot be read: not known.
func readText(name string) string {
	text, err := os.ReadFile(name)
	if err != nil {
		return ""
	}
	return string(text)
}

// cpuModel finds the processor's name in the text of /proc/cpuinfo; which line
// has it depends on the architecture.
func cpuModel(text string) string {
	for _, wanted := range []string{"model name", "cpu model", "Hardware", "cpu", "Model", "uarch"} {
		for line := range strings.Lines(text) {
			name, value, _ := strings.Cut(line, ":")
			if value = strings.TrimSpace(value); strings.TrimSpace(name) == wanted && value != "" {
				return value
			}
		}
	}
	return ""
}

// memoryLimit is the tightest limit of the process's control groups below root;
// 0: none. groups is the text of /proc/self/cgroup; only version 2 is known.
func memoryLimit(root, groups string) int64 {
	var tightest int64
	for line := range strings.Lines(groups) {
		group, ok := strings.CutPrefix(strings.TrimSpace(line), "0::")
		for ok {
			text := strings.TrimSpace(readText(path.Join(root, group, "memory.max")))
			if limit, err := strconv.ParseInt(text, 10, 64); err == nil && limit > 0 { // "max": none
				if tightest == 0 || limit < tightest {
					tightest = limit
				}
			}
			ok = group != "/" && group != "." && group != ""
			group = path.Dir(group)
		}
	}
	return tightest
}

// mount is a file system where it is mounted.
type mount struct {
	number     string // of the device: "major:minor"
	fileSystem string
	source     string
}

// mountOf finds what dir, an absolute path without links, is on, in the text of
// /proc/self/mountinfo (proc(5)): the longest mount point above it, and of several
// at one point the last, which hides the others.
func mountOf(text, dir string) mount {
	var best mount
	longest := -1
	for line := range strings.Lines(text) {
		// id parent major:minor root point options [optional …] - type source …
		before, after, ok := strings.Cut(line, " - ")
		head, tail := strings.Fields(before), strings.Fields(after)
		if !ok || len(head) < 5 || len(tail) < 2 {
			continue
		}
		point := unescape(head[4])
		below := dir == point || point == "/" || strings.HasPrefix(dir, point+"/")
		if below && len(point) >= longest {
			longest = len(point)
			best = mount{number: head[2], fileSystem: tail[0], source: unescape(tail[1])}
		}
	}
	return best
}

// unescape resolves the octal escapes of mountinfo, such as \040 for a space.
func unescape(s string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(s)
}

// deviceModel describes a block device, given its folder in /sys; a partition's
// is inside that of its disk. Empty: not known. Disks without a model are virtual
// ones, which pass for rotating whatever they are.
func deviceModel(device string) string {
	for _, disk := range []string{device, device + "/.."} { // not to be cleaned: device is a link
		model := strings.TrimSpace(readText(disk + "/device/model"))
		if model == "" {
			continue
		}
		if strings.TrimSpace(readText(disk+"/queue/rotational")) == "1" {
			model += ", rotating"
		}
		return model
	}
	return ""
}
