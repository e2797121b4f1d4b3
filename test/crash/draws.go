package crash

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// draws makes writes at random.
type draws struct {
	rand   *rand.Rand
	writes int // made so far: makes values differ
}

// keys is how many there are.
const keys = 48

func (d *draws) key() string { return fmt.Sprintf("key/%03d", d.rand.IntN(keys)) }

func (d *draws) bounds() (lo, hi string) {
	lo, hi = d.key(), d.key()
	return min(lo, hi), max(lo, hi)
}

// draw makes a write whose value there was not before.
func (d *draws) draw() Write {
	d.writes++
	w := Write{Op: "ppppppppttddmmr"[d.rand.IntN(15)], Key: d.key()}
	switch w.Op {
	case 'd':
	case 'r':
		w.End = w.Key + "~"
		if d.rand.IntN(4) == 0 {
			w.Key, w.End = d.bounds()
		}
	case 'm':
		w.Value = fmt.Appendf(nil, "+%d", d.writes)
	default:
		size := d.rand.IntN(48)
		switch d.rand.IntN(8) {
		case 0, 1, 2:
			size = 64 + d.rand.IntN(300)
		case 3:
			size = 512 + d.rand.IntN(2048)
		}
		w.Value = fmt.Appendf(make([]byte, 0, size+16), "#%d.", d.writes)
		for len(w.Value) < size {
			w.Value = append(w.Value, byte('a'+d.rand.IntN(16)))
		}
		w.TTL = time.Duration(1+d.rand.IntN(60)) * time.Second
	}
	return w
}
