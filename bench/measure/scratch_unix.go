//go:build unix

package measure

import (
	"syscall"
	"unsafe"
)

// scratch is memory outside the Go heap, which it would make larger for good.
func scratch(words int) (memory []uint32, free func()) {
	raw, err := syscall.Mmap(-1, 0, 4*words, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return make([]uint32, words), func() {}
	}
	// An error of Munmap would mean that this is no map; then it stays.
	return unsafe.Slice((*uint32)(unsafe.Pointer(&raw[0])), words), func() { _ = syscall.Munmap(raw) }
}
