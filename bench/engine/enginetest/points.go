package enginetest

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
)

// short shows a value, or where it is long, its beginning.
func short[T string | []byte](value T) string {
	if len(value) <= 40 {
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprintf("%q… (%d bytes)", value[:40], len(value))
}

// numbered is a key whose order is that of the number.
func numbered(prefix string, i int) string { return fmt.Sprintf("%s%08d", prefix, i) }

const textMax = 1 << 20

// letters is what all values are cut out of. They do not compress to nothing.
var letters = sync.OnceValue(func() string {
	letters, x := make([]byte, 2*textMax), uint64(1)
	for i := range letters {
		x = x*6364136223846793005 + 1442695040888963407
		letters[i] = 'a' + byte(x>>60)
	}
	return string(letters)
})

// text is a value of n bytes, at most textMax. Those of different i differ,
// unless they are short.
func text(i, n int) string {
	from := uint32(i) * 7919 % textMax // odd: no two of a million are the same
	return letters()[from : int(from)+n]
}

// points checks single reads and writes.
func points(s *tested) {
	s.wantNone("a")
	s.put("a", "1")
	s.put("b", "2")
	s.want("a", "1")
	s.put("a", "one")
	s.want("a", "one")
	s.delete("a")
	s.wantNone("a")
	s.delete("a")
	s.delete("never there")
	s.want("b", "2")
	s.put("a", "again")
	s.want("a", "again")
	s.delete("a")
	s.delete("b")
}

// values checks values of all lengths, and that keys are any bytes.
func values(s *tested) {
	lengths := []int{0, 1, 100, 1023, 1024, 4096, 65_535, 65_536, 1 << 20}
	for round := range 3 {
		for _, n := range lengths {
			s.put(numbered("length", n), text(n, n))
		}
		for i, key := range []string{"\x00", "\x00\x00", "\xff", "\xff\xff", "a\x00b", strings.Repeat("k", 1000)} {
			s.put(key, text(i, 10))
		}
		for _, n := range lengths {
			s.want(numbered("length", n), text(n, n))
		}
		for i, key := range []string{"\x00", "\x00\x00", "\xff", "\xff\xff", "a\x00b", strings.Repeat("k", 1000)} {
			s.want(key, text(i, 10))
		}
		switch round {
		case 0:
			s.check(s.Settle(s.t.Context()))
		case 1:
			s.close()
			s.reopen()
		}
	}
	s.check(s.Put([]byte("nil"), nil))
	s.want("nil", "")
	s.put(numbered("length", 1<<20), "short now")
	s.want(numbered("length", 1<<20), "short now")
}

// ownership checks that slices which are passed in may be changed, and that
// those which come back are the caller's.
func ownership(s *tested) {
	key, value := []byte("key"), []byte("value")
	s.check(s.Put(key, value))
	copy(key, "xxx")
	copy(value, "xxxxx")
	s.want("key", "value")
	s.wantNone("xxx")

	got, err := s.Get(nil, []byte("key"))
	s.check(err)
	copy(got, "yyyyy")
	s.want("key", "value")

	dst := append(make([]byte, 0, 64), "prefix-"...)
	got, err = s.Get(dst, []byte("key"))
	s.check(err)
	if string(got) != "prefix-value" || &got[0] != &dst[0] {
		s.t.Errorf("Get with room in dst returned %q; want prefix-value in the same array", got)
	}
	got, err = s.Get([]byte("pre-")[:4:4], []byte("key"))
	s.check(err)
	if string(got) != "pre-value" {
		s.t.Errorf("Get without room in dst returned %q; want pre-value", got)
	}

	key = []byte("key")
	s.check(s.Delete(key))
	copy(key, "zzz")
	s.wantNone("key")

	b := s.NewBatch()
	key, value = []byte("batch-a"), []byte("in a batch")
	s.check(b.Put(key, value))
	copy(key, "batch-b")
	copy(value, "changed it")
	s.check(b.Delete(key))
	copy(key, "batch-c")
	s.check(b.Commit())
	s.check(b.Close())
	s.want("batch-a", "in a batch")

	big := bytes.Repeat([]byte("v"), 100_000)
	s.check(s.Put([]byte("big"), big))
	clear(big)
	s.want("big", strings.Repeat("v", 100_000))
}
