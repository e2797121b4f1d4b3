package damage

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/cordwood-db/cordwood/db"
)

// What a user sees of damage: the words of the tables in docs/damage.md.
const (
	seesNothing = "ok"   // every read is right, nothing is reported
	seesCut     = "cut"  // a LogCut event; commits may be gone that nothing proves to have been durable
	seesGone    = "gone" // commits are gone that nothing proves to have been durable, nor to have been there at all
	seesFeed    = "feed" // only change feeds fail
)

// Seen are the things that cases of a kind made a user see, and how often.
type Seen map[string]int

// add adds what another case shows.
func (s Seen) add(words []string) {
	for _, w := range words {
		s[w]++
	}
}

// class is the kind of an error that damage may give, one letter; empty for
// others.
func class(err error, system bool) string {
	if _, ok := errors.AsType[*db.FormatError](err); ok {
		return "F"
	}
	if _, ok := errors.AsType[*db.MissingFileError](err); ok {
		return "M"
	}
	if _, ok := errors.AsType[*db.CorruptionError](err); ok {
		return "C"
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok && system {
		return "S"
	}
	return ""
}

// Outcome is what became of a damaged store.
type Outcome struct {
	Open  error           // typed; the rest is empty then
	Lost  map[string]bool // keys whose reads gave an error
	Reads map[string]bool // classes of those errors
	State int             // index of the state that was found, of Store.States
	Feed  bool            // a feed failed
	Gone  bool            // the state is not the newest, and no cut was reported
	Cuts  []db.LogCut
	Bad   []db.Damage
}

// words are what a user sees.
func (o *Outcome) words(system bool) []string {
	var words []string
	if o.Open != nil {
		return []string{"open" + class(o.Open, system)}
	}
	for c := range o.Reads {
		words = append(words, "read"+c)
	}
	if len(o.Cuts) > 0 {
		words = append(words, seesCut)
	}
	if o.Gone {
		words = append(words, seesGone)
	}
	if o.Feed {
		words = append(words, seesFeed)
	}
	if len(words) == 0 {
		return []string{seesNothing}
	}
	slices.Sort(words)
	return words
}
