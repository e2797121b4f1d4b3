package report

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cordwood-db/cordwood/bench/result"
)

// remarks prints what the phases themselves want a reader to know, the same
// words together.
func (t *table) remarks() {
	var order []string
	where := make(map[string][]string)
	for i := range t.summaries {
		s := &t.summaries[i]
		for _, remark := range Remarks(s) {
			if _, ok := where[remark]; !ok {
				order = append(order, remark)
			}
			where[remark] = append(where[remark], place(s.Workload, s.Engine, s.Set))
		}
	}
	for i, remark := range order {
		if i == 0 {
			t.printf("\n")
		}
		t.printf("%s", wrapped("note: ", strings.Join(where[remark], ", ")+": "+remark, 2))
	}
}

// Remarks are what is worth saying about a summary beside its figures: the notes
// of its phases, retries of transactions, how cold a cold cache was.
func Remarks(s *result.Summary) []string {
	var remarks []string
	retries, operations, resident := uint64(0), uint64(0), -1.0
	for _, p := range s.Phases {
		if p.Shape != nil {
			if own := "data of its own: " + shape(p.Shape); !slices.Contains(remarks, own) {
				remarks = append(remarks, own)
			}
		}
		for _, note := range p.Notes {
			if note = oneLine(note); !slices.Contains(remarks, note) {
				remarks = append(remarks, note)
			}
		}
		retries += p.Retries
		operations += p.Operations
		if p.CacheResident != nil {
			resident = max(resident, *p.CacheResident)
		}
	}
	if retries > 0 && operations > 0 {
		remarks = append(remarks, fmt.Sprintf("%s retries of transactions per thousand", Number(1000*float64(retries)/float64(operations))))
	}
	switch {
	case resident == 0:
		remarks = append(remarks, "nothing of the files was in memory when it began")
	case resident > 0:
		remarks = append(remarks, fmt.Sprintf("up to %s of the files were in memory when it began", Percent(resident)))
	}
	return remarks
}
