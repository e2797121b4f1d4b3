package wal

import (
	"errors"

	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/internal/record"
)

// errCut ends the scan of a segment whose log was cut by ErrCutHere.
var errCut = errors.New("wal: cut")

// delivery passes the records of one segment on.
type delivery struct {
	r    *replay
	s    *segmentFile
	name string

	sealed    bool
	seal      seal
	cutOffset int64
	cutReason string // not empty if fn asked for a cut
}

// record is what record.Scan calls.
func (d *delivery) record(rec record.Record) error {
	off := int64(rec.LSN - d.s.h.StartLSN)
	switch rec.Type {
	case typeCommits:
		return d.commits(rec, off)
	case typeProof:
		return nil
	case typeSeal:
		var ok bool
		if d.seal, ok = decodeSeal(rec.Payload); !ok {
			return base.Corruptf(d.name, off, "malformed seal")
		}
		d.sealed = true
		return record.ErrStop
	}
	return base.Corruptf(d.name, off, "record of unknown type %d", rec.Type)
}

func (d *delivery) commits(rec record.Record, off int64) error {
	proven := rec.EndLSN <= d.r.proven
	var err error
	if d.r.fn != nil {
		err = d.r.fn(ReplayRecord{
			Segment: d.s.num,
			LSN:     rec.LSN,
			EndLSN:  rec.EndLSN,
			Proven:  proven,
			Payload: rec.Payload,
		})
	}
	switch {
	case err == nil:
		d.r.res.Records++
		return nil
	case !errors.Is(err, ErrCutHere):
		return err
	case proven:
		return &base.CorruptionError{File: d.name, Offset: off,
			Reason: "record that was proven durable cannot be replayed", Err: err}
	}
	d.cutOffset, d.cutReason = off, err.Error()
	return errCut
}
