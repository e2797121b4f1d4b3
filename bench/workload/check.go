package workload

import (
	"errors"
	"fmt"

	"github.com/cordwood-db/cordwood/bench/engine"
)

// expirySlack is how far from its end, in milliseconds, an entry's time may be
// taken to end: the second that engine.Expirer allows, and a tick of clocks.
const expirySlack = 1100

// before is what was acknowledged of a key before an operation began.
type before struct {
	version uint32
	start   uint32 // of that version's value, if there are merges
}

// sample takes it. The value that was acknowledged starts no later than start.
func (m *Model) sample(i uint64) before {
	b := before{version: m.words[i].acknowledged.Load()}
	if m.starts != nil {
		b.start = m.starts[i].Load()
	}
	return b
}

func (m *Model) wrong(number uint64, format string, args ...any) error {
	return &WrongAnswer{Key: string(m.keys.append(nil, number)), Problem: fmt.Sprintf(format, args...)}
}

// checkGet judges the answer of a point read of key i, which began at that time.
func (m *Model) checkGet(i uint64, b before, began uint32, value []byte, err error) error {
	switch {
	case err == nil:
		return m.checkValue(i, b, began, value)
	case errors.Is(err, engine.ErrNotFound):
		return m.checkAbsent(i, b, "not found")
	}
	return err
}

// checkAbsent judges that the store did not show key i.
func (m *Model) checkAbsent(i uint64, b before, how string) error {
	if b.version == 0 || m.words[i].deleted.Load() >= b.version {
		return nil
	}
	if m.expires != nil {
		// end belongs to the version sampled if nothing was issued since.
		end := m.expires[i].Load()
		if m.words[i].issued.Load() != b.version {
			return nil // an earlier value's time is not known any more
		}
		if end != 0 && m.now()+expirySlack >= uint32(end>>32) {
			return nil
		}
	}
	return m.wrong(presentNumber(i), "%s; version %d was acknowledged", how, b.version)
}

// checkValue judges a value that the store gave for key i.
func (m *Model) checkValue(i uint64, b before, began uint32, value []byte) error {
	first, last, problem := m.gen.check(value, i)
	if problem != "" {
		return m.wrong(presentNumber(i), "%s", problem)
	}
	w := &m.words[i]
	deleted := w.deleted.Load()
	issued := w.issued.Load()
	switch {
	case last < b.version:
		return m.wrong(presentNumber(i), "stale: version %d; version %d was acknowledged", last, b.version)
	case last > issued:
		return m.wrong(presentNumber(i), "version %d was never written; the last is %d", last, issued)
	case last == deleted:
		return m.wrong(presentNumber(i), "found; version %d deleted it", deleted)
	case m.starts == nil && first != last:
		return m.wrong(presentNumber(i), "versions %d to %d in one value; nothing was merged", first, last)
	case m.starts != nil && first != b.start && first <= b.version:
		return m.wrong(presentNumber(i), "begins with version %d, want %d: operands of a merge are lost or came back", first, b.start)
	}
	if m.expires == nil || issued != b.version {
		return nil
	}
	if end := m.expires[i].Load(); end != 0 && w.issued.Load() == issued && uint64(began) > uint64(uint32(end))+expirySlack {
		return m.wrong(presentNumber(i), "found %d ms after its time was over", began-uint32(end))
	}
	return nil
}

// checkMissing judges the answer of a point read of a key that is never stored.
func (m *Model) checkMissing(number uint64, value []byte, err error) error {
	switch {
	case err == nil:
		return m.wrong(number, "found with %d bytes; it was never written", len(value))
	case errors.Is(err, engine.ErrNotFound):
		return nil
	}
	return err
}
