package vlog

// Info sums up the records of a logical file. Its expiry range lets the owner
// drop a file whole once everything in it has expired.
type Info struct {
	Size      int64  // of the physical file up to the end of its last record, header included
	Bytes     uint64 // of all records, headers and keys included
	Records   uint64
	ExpiryMin uint64 // nanoseconds since the Unix epoch; 0 if no record expires
	ExpiryMax uint64 // likewise
	AllExpire bool   // there are records, and every one of them expires
}

// tally accumulates an Info.
type tally struct {
	bytes                uint64
	records, expiring    uint64
	expiryMin, expiryMax uint64
}

func (t *tally) add(size int64, expiry uint64) {
	t.bytes += uint64(size)
	t.records++
	if expiry == 0 {
		return
	}
	if t.expiring == 0 || expiry < t.expiryMin {
		t.expiryMin = expiry
	}
	t.expiryMax = max(t.expiryMax, expiry)
	t.expiring++
}

func (t *tally) allExpire() bool { return t.records > 0 && t.expiring == t.records }

func (t *tally) info(size int64) Info {
	return Info{
		Size: size, Bytes: t.bytes, Records: t.records,
		ExpiryMin: t.expiryMin, ExpiryMax: t.expiryMax, AllExpire: t.allExpire(),
	}
}
