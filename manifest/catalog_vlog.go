package manifest

import (
	"github.com/cordwood-db/cordwood/internal/base"
)

// checkVlogs works out what e does to the value log. The parts of an edit act
// in this order: files are added, sealed, synced, moved, their discards are
// counted, and files are removed.
func (c *catalog) checkVlogs(e *Edit, ch *change, given base.FileNum) error {
	ch.vlogs = make(map[base.FileNum]*VlogMeta)
	v := vlogCheck{catalog: c, change: ch, given: given, newPhysical: make(map[base.FileNum]uint64)}
	for i := range e.VlogAdded {
		if err := v.add(e.VlogAdded[i]); err != nil {
			return err
		}
	}
	for _, s := range e.VlogSealed {
		if err := v.seal(s); err != nil {
			return err
		}
	}
	for _, s := range e.VlogSynced {
		m := v.edit(s.Logical)
		if m == nil {
			return editErrorf("value-log file %d to sync does not exist", s.Logical)
		}
		m.SyncedTo = max(m.SyncedTo, s.To)
	}
	for _, m := range e.VlogMoved {
		if err := v.move(m); err != nil {
			return err
		}
	}
	for logical, bytes := range e.Discards {
		if logical == 0 || logical >= given {
			return editErrorf("discards for value-log file %d, which never existed", logical)
		}
		m := v.edit(logical)
		if m == nil {
			continue // removed meanwhile: what was garbage is gone
		}
		m.Discarded = addCapped(m.Discarded, bytes)
		m.clampDiscarded()
	}
	for _, logical := range e.VlogRemoved {
		m := v.edit(logical)
		if m == nil {
			return editErrorf("value-log file %d to remove does not exist", logical)
		}
		ch.vlogs[logical] = nil
		ch.filesRemoved = append(ch.filesRemoved, FileRef{base.FileVlog, m.Physical})
	}
	return nil
}

// vlogCheck is the state of checkVlogs.
type vlogCheck struct {
	catalog     *catalog
	change      *change
	given       base.FileNum
	newPhysical map[base.FileNum]uint64 // ids of physical files that the edit brings
}

// edit returns a copy of a logical file's facts that the change owns, or nil
// if there is no such file.
func (v *vlogCheck) edit(logical base.FileNum) *VlogMeta {
	if m, ok := v.change.vlogs[logical]; ok {
		return m
	}
	old := v.catalog.vlogs[logical]
	if old == nil {
		return nil
	}
	m := new(*old)
	v.change.vlogs[logical] = m
	return m
}

func (v *vlogCheck) add(m VlogMeta) error {
	if v.edit(m.Logical) != nil {
		return editErrorf("value-log file %d is added twice", m.Logical)
	}
	if !m.Rewritten && m.Physical != m.Logical {
		return editErrorf("value-log file %d is said to be in %d without a rewrite", m.Logical, m.Physical)
	}
	if err := v.change.useFile(m.Logical, v.given); err != nil {
		return err
	}
	m.clampDiscarded()
	v.change.vlogs[m.Logical] = &m
	return v.usePhysical(m.Physical, m.PhysicalID, m.Rewritten)
}

// usePhysical notes that one more logical file lies in a physical file, which
// must be new with this edit.
func (v *vlogCheck) usePhysical(n base.FileNum, id uint64, rewritten bool) error {
	if err := v.change.useFile(n, v.given); err != nil {
		return err
	}
	if _, ok := v.catalog.physical[n]; ok {
		return editErrorf("physical value-log file %d exists already", n)
	}
	if old, ok := v.newPhysical[n]; ok && (old != id || !rewritten) {
		return editErrorf("physical value-log file %d has two ids or two owners", n)
	}
	v.newPhysical[n] = id
	v.change.filesAdded = append(v.change.filesAdded, FileRef{base.FileVlog, n})
	return nil
}

func (v *vlogCheck) seal(s VlogSeal) error {
	m := v.edit(s.Logical)
	if m == nil || m.Sealed {
		return editErrorf("value-log file %d to seal is not there or sealed already", s.Logical)
	}
	m.Sealed, m.Bytes = true, s.Bytes
	m.SyncedTo = max(m.SyncedTo, s.SyncedTo)
	m.ExpiryMin, m.ExpiryMax, m.AllExpire = s.ExpiryMin, s.ExpiryMax, s.AllExpire
	m.clampDiscarded()
	return nil
}

func (v *vlogCheck) move(mv VlogMove) error {
	m := v.edit(mv.Logical)
	switch {
	case m == nil:
		return editErrorf("value-log file %d to move does not exist", mv.Logical)
	case !m.Sealed:
		return editErrorf("value-log file %d to move is not sealed", mv.Logical)
	case m.Physical != mv.From:
		return editErrorf("value-log file %d to move is in %d, not in %d", mv.Logical, m.Physical, mv.From)
	}
	if err := v.usePhysical(mv.To, mv.ToID, true); err != nil {
		return err
	}
	v.change.filesRemoved = append(v.change.filesRemoved, FileRef{base.FileVlog, mv.From})
	m.Physical, m.PhysicalID, m.Rewritten = mv.To, mv.ToID, true
	m.Bytes, m.SyncedTo = mv.Bytes, mv.Bytes
	m.ExpiryMin, m.ExpiryMax, m.AllExpire = mv.ExpiryMin, mv.ExpiryMax, mv.AllExpire
	// Compactions may have found garbage while the copy was made, some of it in
	// records that were copied: what was left out is all that is settled.
	m.Discarded -= min(m.Discarded, mv.DeadBytes)
	m.clampDiscarded()
	return nil
}

// clampDiscarded keeps the garbage below the size, once that is known.
func (m *VlogMeta) clampDiscarded() {
	if m.Sealed {
		m.Discarded = min(m.Discarded, m.Bytes)
	}
}
