package fuzz

import (
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// caseEnv names one case of TestForgedBytes, as its subtest does:
// FILE@OFFSET=BYTES, these in hexadecimal.
const caseEnv = "CORDWOOD_FORGED"

// forgedStep is prime, and far from a divisor of any number of cases: steps of
// that length visit each case once, and soon all parts of all files.
const forgedStep = 1_000_003

// forgedNumbers are what a forger would try in place of a number, besides other
// values of single bytes: smallest and largest ones, of fixed width and as uvarints.
var forgedNumbers = []string{
	"\x00\x00", "\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00",
	"\xff\xff", "\xff\xff\xff\xff", "\xff\xff\xff\xff\xff\xff\xff\xff",
	"\xff\x7f", "\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\x7f",
	"\x00\x80", "\x00\x00\x00\x80", "\x00\x00\x00\x00\x00\x00\x00\x80",
	"\xff\xff\xff\xff\x0f", "\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
}

// forgedBefore are cases that once failed.
var forgedBefore = []string{
	"000011.sst@1169=f6",      // a pointer that is none, met by a compaction
	"000011.sst@936=00000000", // one to value-log file 0, which got into the MANIFEST
	"000011.sst@931=0000000000000000",
	"000011.sst@1171=ff7f", // one to a file that never existed
}

// TestForgedBytes puts other bytes into a store, with checksums that are right: at
// each place each other byte, and numbers that are as small and large as they get.
func TestForgedBytes(t *testing.T) {
	testkit.CollectRarely(t)
	im := load(t, "plain")
	frames := layouts(t, im)
	if one := os.Getenv(caseEnv); one != "" {
		forge(t, im, frames, one)
		return
	}
	for _, name := range forgedBefore {
		forge(t, im, frames, name)
	}
	total := im.size() * (255 + len(forgedNumbers))
	budget := testkit.Amount{Short: 50, Normal: 300, CI: 3000, Full: total}.Budget(t)
	at := int(testkit.Seed(t) % uint64(total))
	done := 0
	failed := 0
	for ; budget.More(done) && done < total && failed < 20; done++ {
		if !forge(t, im, frames, im.forgedCase(at)) {
			failed++
		}
		at = (at + forgedStep) % total
	}
	testkit.Count(t, "forged bytes", done)
}

// forgedCase is the nth of all cases: the numbers at each place, then the bytes.
func (im *image) forgedCase(n int) string {
	offset, value := n%im.size(), n/im.size()
	for _, name := range im.names {
		b := im.files[name]
		if offset >= len(b) {
			offset -= len(b)
			continue
		}
		if value < len(forgedNumbers) {
			return fmt.Sprintf("%s@%d=%x", name, offset, forgedNumbers[value])
		}
		delta := byte(value - len(forgedNumbers) + 1)
		return fmt.Sprintf("%s@%d=%02x", name, offset, b[offset]+delta)
	}
	panic("no such case")
}

// forge runs a case as a subtest that has its name, and reports whether it passed.
func forge(t *testing.T, im *image, frames map[string]layout, name string) bool {
	file, change, _ := strings.Cut(name, "@")
	where, what, _ := strings.Cut(change, "=")
	offset, err := strconv.Atoi(where)
	must(t, err)
	value, err := hex.DecodeString(what)
	must(t, err)
	return t.Run(name, func(t *testing.T) {
		forged := im.clone()
		copy(forged.files[file][offset:], value)
		frames[file].reseal(forged.files[file])
		check(t, forged, true)
	})
}
