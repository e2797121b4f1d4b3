package damage

import "testing"

// BenchmarkCheck is what one case costs.
func BenchmarkCheck(b *testing.B) {
	closed, killed, err := Build()
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range []*Store{closed, killed} {
		for _, thorough := range []bool{false, true} {
			name := s.Name
			if thorough {
				name += "/thorough"
			}
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if _, err := s.Check(s.FS.KillClone(), 0, thorough); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
