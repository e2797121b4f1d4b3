package measure

import (
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"github.com/cordwood-db/cordwood/bench/result"
)

// probeSystem fills in what there is to know of processor, memory and kernel.
func probeSystem(m *result.Machine) {
	v := windows.RtlGetVersion()
	m.Kernel = fmt.Sprintf("%d.%d.%d", v.MajorVersion, v.MinorVersion, v.BuildNumber)
	m.CPU = cpuModel()
	m.MemoryBytes = memoryBytes()
}

func cpuModel() string {
	const path = `HARDWARE\DESCRIPTION\System\CentralProcessor\0`
	if key, err := registry.OpenKey(registry.LOCAL_MACHINE, path, registry.QUERY_VALUE); err == nil {
		defer key.Close() // only read
		if name, _, err := key.GetStringValue("ProcessorNameString"); err == nil {
			return name
		}
	}
	return os.Getenv("PROCESSOR_IDENTIFIER")
}

// memoryStatus is MEMORYSTATUSEX.
type memoryStatus struct {
	length, load                           uint32
	total, available                       uint64
	pageTotal, pageFree, ownTotal, ownFree uint64
	ownExtendedFree                        uint64
}

func memoryBytes() int64 {
	var status memoryStatus
	status.length = uint32(unsafe.Sizeof(status))
	call := windows.NewLazySystemDLL("kernel32.dll").NewProc("GlobalMemoryStatusEx")
	if ok, _, _ := call.Call(uintptr(unsafe.Pointer(&status))); ok == 0 {
		return 0 // not known
	}
	return int64(status.total)
}

// probeVolume fills in what there is to know of the file system of dir.
func probeVolume(m *result.Machine, dir string) {
	path, err := windows.UTF16PtrFromString(dir)
	if err != nil {
		return
	}
	var free uint64
	if windows.GetDiskFreeSpaceEx(path, &free, nil, nil) == nil {
		m.FreeBytes = int64(free)
	}
	volume := make([]uint16, len(dir)+windows.MAX_PATH)
	if windows.GetVolumePathName(path, &volume[0], uint32(len(volume))) != nil {
		return
	}
	m.Device = windows.UTF16ToString(volume)
	name := make([]uint16, windows.MAX_PATH+1)
	if windows.GetVolumeInformation(&volume[0], nil, 0, nil, nil, nil, &name[0], uint32(len(name))) == nil {
		m.FileSystem = windows.UTF16ToString(name)
	}
}
