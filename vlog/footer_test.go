package vlog

import (
	"math"
	"testing"
)

// What a footer says is compared with the file's size before memory is taken
// for it.
func TestFootersThatDoNotFitTheirFileAreRefused(t *testing.T) {
	const id, size = 7, 1000
	fits := footer{indexOff: 500, indexLen: size - footerLen - 500, recordsEnd: 400, sections: 1}
	decoded := func(f footer) string {
		b := f.encode(id)
		return new(footer).decode(b[:], id, size)
	}
	if wrong := decoded(fits); wrong != "" {
		t.Fatal(wrong)
	}
	for name, change := range map[string]func(f *footer){
		"an index behind the file":         func(f *footer) { f.indexOff = size },
		"a large index":                    func(f *footer) { f.indexLen = math.MaxInt32 },
		"a negative offset":                func(f *footer) { f.indexOff = -1 },
		"records behind the index":         func(f *footer) { f.recordsEnd = f.indexOff + 1 },
		"records in the header":            func(f *footer) { f.recordsEnd = fileHeaderLen - 1 },
		"more sections than the index has": func(f *footer) { f.sections = 1 << 40 },
	} {
		f := fits
		change(&f)
		if decoded(f) == "" {
			t.Errorf("%s is believed", name)
		}
	}
}
