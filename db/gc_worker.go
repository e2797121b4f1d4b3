package db

import "github.com/cordwood-db/cordwood/manifest"

// gcLoop is the worker that seals value-log files, makes the next one ahead,
// and collects garbage.
func (db *DB) gcLoop() {
	var b backoff
	for {
		if !db.awaitGC() {
			return
		}
		err := db.tendValues()
		if err == nil {
			b.reset()
			continue
		}
		if !db.jobFailed("value log", err, &b) {
			return
		}
	}
}

// awaitGC waits until there is something to do for gcLoop.
func (db *DB) awaitGC() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	for {
		if db.stopping || db.failure.Load() != nil {
			return false
		}
		if db.valuesNeedCare() {
			return true
		}
		db.changed.Wait()
	}
}

// valuesNeedCare reports whether tendValues would do anything. The caller
// holds mu.
func (db *DB) valuesNeedCare() bool {
	if db.jobs.gcWanted || len(db.jobs.recovered) > 0 || db.sealable() != nil {
		return true
	}
	a := &db.active
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.values != nil && a.next == nil && a.values.Size() > db.valueFileBytes()/2
}

// tendValues does what valuesNeedCare saw.
func (db *DB) tendValues() error {
	db.gcMu.Lock()
	defer db.gcMu.Unlock()
	if err := db.sealReplaced(); err != nil {
		return err
	}
	if err := db.recordRecovered(); err != nil {
		return err
	}
	if err := db.makeNextValues(); err != nil {
		return err
	}
	if !db.takeGCWanted() {
		return nil
	}
	victims := db.pickVictims(gcRatioMin, nil)
	if len(victims) == 0 {
		return nil
	}
	return db.collect(db.ctx, victims)
}

// tendSeals seals what waits for it, beside the worker that does so.
func (db *DB) tendSeals() error {
	db.gcMu.Lock()
	defer db.gcMu.Unlock()
	return db.sealReplaced()
}

// recordRecovered tells the MANIFEST which value-log files recovery sealed. A
// flush calls it too, before its tables point into them: with the log gone that
// proved their values durable, the next recovery could not tell damage in a file
// that is not sealed from a torn end, and would cut off what is behind it.
func (db *DB) recordRecovered() error {
	db.jobs.recording.Lock()
	defer db.jobs.recording.Unlock()
	db.mu.Lock()
	seals := db.jobs.recovered
	db.mu.Unlock()
	if len(seals) == 0 {
		return nil
	}
	edit := &manifest.Edit{VlogSealed: seals, Discards: db.jobs.unborn}
	if err := db.apply(edit, nil, nil); err != nil {
		return err
	}
	db.mu.Lock()
	defer db.mu.Unlock()
	db.jobs.recovered, db.jobs.unborn = nil, nil
	return nil
}

// takeGCWanted reports whether collection is wanted. It is not, after this,
// until the next edit says so again.
func (db *DB) takeGCWanted() bool {
	db.mu.Lock()
	defer db.mu.Unlock()
	wanted := db.jobs.gcWanted
	db.jobs.gcWanted = false
	return wanted
}

// makeNextValues makes the value-log file that will replace the active one.
func (db *DB) makeNextValues() error {
	a := &db.active
	a.mu.Lock()
	need := a.values != nil && a.next == nil && a.values.Size() > db.valueFileBytes()/2
	a.mu.Unlock()
	if !need {
		return nil
	}
	f, err := db.createValueFile()
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.next == nil {
		a.next = f
	} else {
		a.replaced = append(a.replaced, f)
	}
	return nil
}
