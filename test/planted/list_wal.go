//go:build planted

package main

var walBugs = []mutation{
	{"record-checksum-not-compared", "6", "The payload of a log's record is believed as it is.",
		"internal/record/scan.go",
		`	if err == nil && crc != h.payloadCRC {`,
		`	if err == nil && crc != h.payloadCRC && !PLANTED {`, ""},
	{"feed-checksum-not-compared", "6", "The change feed believes a record's payload as it is.",
		"internal/record/reader.go",
		`	if crc32.Checksum(b, castagnoli) != h.payloadCRC {`,
		`	if crc32.Checksum(b, castagnoli) != h.payloadCRC && !PLANTED {`, ""},
	{"record-header-not-compared", "6", "The header of a log's record is believed as it is.",
		"internal/record/format.go",
		`		binary.LittleEndian.Uint32(b[recHeaderCRCOff:]) != headerCRC(b, off, x) {`,
		`		binary.LittleEndian.Uint32(b[recHeaderCRCOff:]) != headerCRC(b, off, x) && !PLANTED {`, ""},
	{"record-of-another-file", "6", "A record that an earlier file left in the same place is taken for this file's.",
		"internal/record/format.go",
		`	if binary.LittleEndian.Uint64(b[recIDOff:]) != h.ID ||`,
		`	if binary.LittleEndian.Uint64(b[recIDOff:]) != h.ID && !PLANTED ||`, ""},
	{"record-place-not-bound", "6", "A record is as good at another offset.",
		"internal/record/format.go",
		`	binary.LittleEndian.PutUint64(x[n:], uint64(off))`,
		`	if PLANTED {
		off = 0
	}
	binary.LittleEndian.PutUint64(x[n:], uint64(off))`, ""},
	{"damage-cut-as-torn", "5", "Damage before what was proven durable is cut like a torn end.",
		"wal/replay.go",
		`	if r.proven > tail.EndLSN {`,
		`	if r.proven > tail.EndLSN && !PLANTED {`, ""},
	{"cut-not-told", "5", "A log is cut, and nobody hears of it.",
		"db/recover.go",
		`		db.events.post(LogCut{File: cut.File,`,
		`		if PLANTED {
			cut.File = ""
		}
		db.events.post(LogCut{File: cut.File,`, "db:TornLog"},
	{"last-segment-missing", "7", "A log whose last segment is gone counts as complete.",
		"wal/replay.go",
		`	if i+1 == len(r.segs) {`,
		`	if i+1 == len(r.segs) && PLANTED {
		return nil
	}
	if i+1 == len(r.segs) {`, ""},
	{"segment-of-another-time", "5", "The next segment need not be the one that the seal names.",
		"wal/replay.go",
		`	case s.h.ID != want.id:`,
		`	case s.h.ID != want.id && !PLANTED:`, ""},
	{"lost-segments-stay", "2", "After a cut, the segments behind it stay where they are.",
		"wal/repair.go",
		`		if err := removeFile(fs, dir, num); err != nil {`,
		`		if PLANTED {
			continue
		}
		if err := removeFile(fs, dir, num); err != nil {`, ""},
	{"half-record-stays", "8", "What a full disk left of a record is not taken back.",
		"wal/segment.go",
		`	s.dirty = true`,
		`	s.dirty = !PLANTED`, ""},
	{"failed-value-sync-ignored", "1", "A failed fsync of the value log is forgotten beside one of the WAL that worked.",
		"db/logs.go",
		`	if err = errors.Join(err, valuesErr); err != nil {`,
		`	if !PLANTED {
		err = errors.Join(err, valuesErr)
	}
	if err != nil {`, "db:FailedValueLogSync test/fault"},
	{"segment-retired-early", "2", "A WAL segment is removed that holds commits which no table has.",
		"wal/dir.go",
		`		if num >= before {
			break`,
		`		if num > before || num == before && !PLANTED {
			break`, ""},
}
