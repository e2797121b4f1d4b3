package fuzz

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/cordwood-db/cordwood/internal/testkit"
)

// caseEnv names one case of TestForgedBytes, as its subtest does: FILE@OFFSET=VALUE.
const caseEnv = "CORDWOOD_FORGED"

// forgedStep is prime, and far from a divisor of any number of cases: steps of
// that length visit each case once, and soon all parts of all files.
const forgedStep = 1_000_003

// TestForgedBytes gives single bytes of a store other values, with checksums that
// are right: there are as many cases as bytes, times 255.
func TestForgedBytes(t *testing.T) {
	testkit.CollectRarely(t)
	im := load(t, "plain")
	frames := layouts(t, im)
	if one := os.Getenv(caseEnv); one != "" {
		forge(t, im, frames, one)
		return
	}
	total := im.size() * 255
	budget := testkit.Amount{Short: 50, Normal: 300, CI: 5000, Full: total}.Budget(t)
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

// forgedCase is the nth of all bytes with each of the values that it has not.
func (im *image) forgedCase(n int) string {
	offset, delta := n/255, n%255+1
	for _, name := range im.names {
		if b := im.files[name]; offset < len(b) {
			return fmt.Sprintf("%s@%d=%#02x", name, offset, b[offset]+byte(delta))
		} else {
			offset -= len(b)
		}
	}
	panic("no such case")
}

// forge runs a case as a subtest that has its name, and reports whether it passed.
func forge(t *testing.T, im *image, frames map[string]layout, name string) bool {
	file, change, _ := strings.Cut(name, "@")
	where, what, _ := strings.Cut(change, "=")
	offset, err := strconv.Atoi(where)
	must(t, err)
	value, err := strconv.ParseUint(what, 0, 8)
	must(t, err)
	return t.Run(name, func(t *testing.T) {
		forged := im.clone()
		forged.files[file][offset] = byte(value)
		frames[file].reseal(forged.files[file])
		check(t, forged, true)
	})
}
