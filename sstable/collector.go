package sstable

import (
	"bytes"
	"fmt"
	"math"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/rangedel"
)

// collector gathers a table's properties while it is written.
type collector struct {
	props    Properties
	smallest []byte // of entries; props.Smallest is set by finish
	any      bool   // an entry or a range tombstone was seen

	// The value-log file that the last pointer named, and its bytes so far,
	// which save most look-ups in the map.
	vlogFile  base.FileNum
	vlogBytes uint64

	delSmallest, delLargest []byte
}

// entry counts an entry.
func (c *collector) entry(key base.InternalKey, payload []byte) error {
	kind := key.Trailer.Kind()
	if kind.HasExpiry() || kind.Op() == base.KindSetPointer {
		if err := c.payload(kind, payload); err != nil {
			return fmt.Errorf("payload of %s: %w", key, err)
		}
	}
	p := &c.props
	if p.Entries == 0 {
		c.smallest = append(c.smallest[:0], key.User...)
	}
	p.Entries++
	switch kind.Op() {
	case base.KindDelete:
		p.Deletes++
	case base.KindMerge:
		p.Merges++
	}
	p.KeyBytes += uint64(len(key.User))
	p.ValueBytes += uint64(len(payload))
	c.seq(key.Trailer.SeqNum())
	return nil
}

// payload counts the expiry and the pointer of an entry.
func (c *collector) payload(kind base.Kind, payload []byte) error {
	expiry, value, err := base.SplitPayload(kind, payload)
	if err != nil {
		return err
	}
	p := &c.props
	if kind.Op() == base.KindSetPointer {
		ptr, err := base.DecodePointer(value)
		if err != nil {
			return err
		}
		if ptr.File != c.vlogFile {
			c.storeVlog()
			c.vlogFile, c.vlogBytes = ptr.File, p.Vlogs[ptr.File]
		}
		c.vlogBytes += uint64(ptr.Size)
		p.VlogBytes += uint64(ptr.Size)
	}
	if kind.HasExpiry() {
		if p.Expiring == 0 {
			p.ExpiryMin = math.MaxUint64
		}
		p.Expiring++
		p.ExpiryMin, p.ExpiryMax = min(p.ExpiryMin, expiry), max(p.ExpiryMax, expiry)
	}
	return nil
}

func (c *collector) storeVlog() {
	if c.vlogBytes == 0 {
		return
	}
	if c.props.Vlogs == nil {
		c.props.Vlogs = make(map[base.FileNum]uint64)
	}
	c.props.Vlogs[c.vlogFile] = c.vlogBytes
}

func (c *collector) seq(seq base.SeqNum) {
	p := &c.props
	if !c.any {
		c.any = true
		p.SeqMin, p.SeqMax = seq, seq
		return
	}
	p.SeqMin, p.SeqMax = min(p.SeqMin, seq), max(p.SeqMax, seq)
}

// fragment counts a fragment of range tombstones.
func (c *collector) fragment(f rangedel.Fragment) {
	if c.props.RangeDels == 0 {
		c.delSmallest = append([]byte{}, f.Start...)
	}
	c.delLargest = append(c.delLargest[:0], f.End...)
	c.props.RangeDels += uint64(len(f.Seqs))
	for _, seq := range f.Seqs {
		c.seq(seq)
	}
}

// finish completes the properties; largest is the last entry's user key.
func (c *collector) finish(largest []byte) {
	c.storeVlog()
	p := &c.props
	if p.Entries > 0 {
		p.Smallest = append([]byte{}, c.smallest...)
		p.Largest = append([]byte{}, largest...)
	}
	if p.RangeDels == 0 {
		return
	}
	if p.Entries == 0 || bytes.Compare(c.delSmallest, p.Smallest) < 0 {
		p.Smallest = c.delSmallest
	}
	if p.Entries == 0 || bytes.Compare(c.delLargest, p.Largest) > 0 {
		p.Largest = append([]byte{}, c.delLargest...)
		p.LargestIsExclusive = true
	}
}
