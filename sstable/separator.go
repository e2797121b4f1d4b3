package sstable

import (
	"bytes"

	"github.com/cordwood-db/cordwood/internal/base"
)

// appendSeparator appends the shortest user key s with last <= s < next, where
// last < next and shared is the length of their common prefix.
//
// The first byte in which next differs ends the shortest key above last. If
// that is all of next, it is one too far, and a key between the two, or last
// itself, is taken.
func appendSeparator(dst, last, next []byte, shared int) []byte {
	switch {
	case len(next) > shared+1:
		return append(dst, next[:shared+1]...)
	case len(last) == shared:
		return append(dst, last...)
	case last[shared]+1 < next[shared]:
		return append(append(dst, last[:shared]...), last[shared]+1)
	}
	for i := shared + 1; i < len(last); i++ {
		if last[i] != 0xff {
			return append(append(dst, last[:i]...), last[i]+1)
		}
	}
	return append(dst, last...)
}

// separate appends to dst the user key of a separator of the internal keys last
// and next, and returns its trailer. A user key that goes on in next is told
// apart by the trailer; otherwise the trailer is 0, which sorts behind all
// versions of the separator's user key.
func separate(dst []byte, last, next base.InternalKey) ([]byte, base.Trailer) {
	if bytes.Equal(last.User, next.User) {
		return append(dst, last.User...), last.Trailer
	}
	return appendSeparator(dst, last.User, next.User, commonPrefix(last.User, next.User)), 0
}
