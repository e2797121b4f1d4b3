package compaction

import (
	"github.com/cordwood-db/cordwood/internal/base"
	"github.com/cordwood-db/cordwood/manifest"
)

// discards notes what lost its pointer.
type discards struct {
	bytes  map[base.FileNum]uint64 // value-log bytes by logical file
	onDrop func(base.Pointer)      // may be nil
}

// drop notes that an entry of the given kind is gone.
func (d *discards) drop(kind base.Kind, payload []byte) error {
	if kind.Op() != base.KindSetPointer {
		return nil
	}
	_, enc, err := base.SplitPayload(kind, payload)
	if err == nil {
		var p base.Pointer
		if p, err = base.DecodePointer(enc); err == nil {
			d.bytes[p.File] += uint64(p.Size)
			if d.onDrop != nil {
				d.onDrop(p)
			}
			return nil
		}
	}
	return &base.CorruptionError{File: compactionInput, Offset: -1,
		Reason: "malformed value pointer", Err: err}
}

// checkFiles looks for files in bytes that have never been: their numbers may not get
// into the MANIFEST. where is what pointed at them.
func (env *Env) checkFiles(bytes map[base.FileNum]uint64, where string) error {
	if env.LastFileNum == nil {
		return nil
	}
	last := env.LastFileNum()
	for file := range bytes {
		if file == 0 || file > last {
			return base.Corruptf(where, -1, "points at value-log file %d, which never existed", file)
		}
	}
	return nil
}

// addVlogBytes adds to lost all value-log bytes that an unread table refers to;
// nothing if there is an error.
func addVlogBytes(env *Env, t *manifest.TableMeta, lost map[base.FileNum]uint64) error {
	h, err := env.Tables.Get(t.Num, t.ID)
	if err != nil {
		return err
	}
	defer h.Release()
	var sum uint64
	for _, n := range h.Properties().Vlogs {
		sum += n
	}
	name := base.FileName(base.FileTable, uint64(t.Num))
	if sum != t.VlogBytes {
		return base.Corruptf(name, -1, "refers to %d bytes of the value log, but the MANIFEST says %d", sum, t.VlogBytes)
	}
	if err := env.checkFiles(h.Properties().Vlogs, name); err != nil {
		return err
	}
	for file, n := range h.Properties().Vlogs {
		lost[file] += n
	}
	return nil
}
