//go:build !unix

package measure

// scratch is memory to work in.
func scratch(words int) (memory []uint32, free func()) { return make([]uint32, words), func() {} }
