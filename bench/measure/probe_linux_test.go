package measure

import (
	"os"
	"path/filepath"
	"testing"
)

func TestTheMountOfAFolder(t *testing.T) {
	const text = `21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
22 21 0:5 / /proc rw - proc proc rw
30 21 8:1 / /data rw,noatime shared:7 master:2 - xfs /dev/sda1 rw
31 30 0:40 /sub /data/fast\040disk rw - btrfs /dev/nvme0n1p2 rw
32 21 8:17 / /data rw - ext4 /dev/sdb1 rw

33 nonsense
34 21 0:99 / /datax - tmpfs
`
	for dir, want := range map[string]mount{
		"/":                  {"254:0", "ext4", "/dev/root"},
		"/home/x":            {"254:0", "ext4", "/dev/root"},
		"/data":              {"8:17", "ext4", "/dev/sdb1"}, // mounted over the other
		"/data/a/b":          {"8:17", "ext4", "/dev/sdb1"},
		"/data/fast disk/db": {"0:40", "btrfs", "/dev/nvme0n1p2"},
		"/data/fast disks":   {"8:17", "ext4", "/dev/sdb1"},
		"/datax":             {"254:0", "ext4", "/dev/root"},
	} {
		if got := mountOf(text, dir); got != want {
			t.Errorf("%s: %+v, want %+v", dir, got, want)
		}
	}
	if got := mountOf("", "/"); got != (mount{}) {
		t.Errorf("nothing is mounted: %+v", got)
	}
}

func TestTheProcessorsName(t *testing.T) {
	for text, want := range map[string]string{
		"processor\t: 0\nvendor_id\t: X\nmodel\t\t: 143\nmodel name\t: Some CPU @ 2 GHz\n\nprocessor\t: 1\n": "Some CPU @ 2 GHz",
		"processor : 0\nBogoMIPS : 50\nHardware\t: Some board\n":                                             "Some board",
		"processor\t: 0\ncpu\t\t: POWER9, altivec supported\n":                                               "POWER9, altivec supported",
		"model name\t:\n": "",
		"":                "",
	} {
		if got := cpuModel(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

func TestTheTightestLimitOfMemoryCounts(t *testing.T) {
	root := t.TempDir()
	write(t, []byte("max\n"), root, "memory.max")
	write(t, []byte("3000\n"), root, "a", "memory.max")
	write(t, []byte("5000\n"), root, "a", "b", "memory.max")
	for groups, want := range map[string]int64{
		"0::/\n":                       0,
		"0::/a\n":                      3000,
		"5:cpu:/x\n0::/a/b\n":          3000,
		"0::/a/missing/deeper\n":       3000,
		"0::/other\n":                  0,
		"":                             0,
		"0::\n":                        0,
		"4:memory:/a\n":                0,
		"0::/../../outside/of/it/a/\n": 0,
	} {
		if got := memoryLimit(root, groups); got != want {
			t.Errorf("%q: %d, want %d", groups, got, want)
		}
	}
}

func TestTheModelOfADisk(t *testing.T) {
	sys := t.TempDir()
	write(t, []byte("Spinner 3000  \n"), sys, "sda", "device", "model")
	write(t, []byte("1\n"), sys, "sda", "queue", "rotational")
	write(t, nil, sys, "sda", "sda1", "partition")
	write(t, []byte("1\n"), sys, "vda", "queue", "rotational")
	write(t, []byte("Flash 9\n"), sys, "nvme0n1", "device", "model")
	write(t, []byte("0\n"), sys, "nvme0n1", "queue", "rotational")
	if err := os.Symlink("sda/sda1", filepath.Join(sys, "8:1")); err != nil {
		t.Fatal(err)
	}
	for device, want := range map[string]string{
		"sda": "Spinner 3000, rotating", "8:1": "Spinner 3000, rotating", "nvme0n1": "Flash 9", "vda": "", "0:5": "",
	} {
		if got := deviceModel(sys + "/" + device); got != want {
			t.Errorf("%s: %q, want %q", device, got, want)
		}
	}
}
