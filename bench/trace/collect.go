package trace

import "time"

// run is what one shard had, on its way to the file. Its records ascend by the
// times of their ends.
type run struct {
	held  []byte // records of the last time that were too new
	taken []byte
	dec   decoder
	at    int  // 0: in held, 1: in taken
	rest  int  // len(dec.buf) before op
	op    Op   // without items; those follow in dec
	ok    bool // op is a record
}

// work is the goroutine that writes the file.
func (r *Recorder) work() {
	defer close(r.ended)
	tick := time.NewTicker(collectEvery)
	defer tick.Stop()
	for ending := false; !ending; {
		select {
		case <-tick.C:
		case <-r.wake:
		case <-r.end:
			r.stopped.Store(true)
			ending = true
		}
		r.collect(ending)
		if now := r.now(); now-r.flushed >= flushEvery {
			r.w.flush()
			r.flushed = now
		}
		r.check()
	}
	// What was lost since the recording stopped is in the end block only.
	late := uint64(0)
	if r.w.err != nil {
		late = r.late.Load()
	}
	r.closeErr = r.w.close(late, r.now())
	r.check()
}

// check shows how far the file has got, and stops the recording if writing it
// has failed.
func (r *Recorder) check() {
	r.recorded.Store(r.w.total)
	r.lost.Store(r.w.lost)
	if err := r.w.err; err != nil && r.err.Load() == nil {
		r.err.Store(&err)
		r.stopped.Store(true)
	}
}

// collect moves what the shards have to the file, in the order in which the
// operations ended. What has ended since it began stays for the next time, but
// for the last one: an operation takes the time of its end under the lock of its
// shard, so nothing older can come any more.
func (r *Recorder) collect(last bool) {
	until := r.now()
	var lost uint64
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.Lock()
		r.runs[i].taken = s.buf
		s.buf = s.spare[:0]
		s.spare = nil
		lost += s.lost
		s.lost = 0
		s.mu.Unlock()
	}
	if last {
		until = r.now()
	}
	r.announce()
	for i := range r.runs {
		r.runs[i].start()
	}
	for {
		next := r.next(until)
		if next == nil {
			break
		}
		r.move(next)
	}
	if lost > 0 {
		r.w.lost += lost
		r.w.put(&Op{Kind: KindLost, Start: until, Entries: lost})
	}
	for i := range r.runs {
		taken := r.runs[i].hold()
		s := &r.shards[i]
		s.mu.Lock()
		s.spare = taken[:0]
		s.mu.Unlock()
	}
}

// announce writes the names of new keyspaces. It comes before the operations
// that were collected: whoever records one has got its number before.
func (r *Recorder) announce() {
	r.spaces.mu.Lock()
	added := r.spaces.added
	r.spaces.added = nil
	r.spaces.mu.Unlock()
	for i := range added {
		r.w.put(&added[i])
	}
}

// next is the run whose next operation ended first, nil if none ended by until.
func (r *Recorder) next(until time.Duration) *run {
	var first *run
	for i := range r.runs {
		if c := &r.runs[i]; c.ok && c.op.End() <= until && (first == nil || c.op.End() < first.op.End()) {
			first = c
		}
	}
	return first
}

// move encodes a run's next record for the file.
func (r *Recorder) move(c *run) {
	e := &r.w.enc
	e.begin(&c.op)
	e.body(&c.op)
	if c.op.Kind.hasItems() {
		n := c.dec.uvarint(recordItemsMax)
		e.uvarint(n)
		outer := e.keyspace
		var item Op
		for range n {
			c.dec.item(&item, c.op.Kind)
			e.item(&item)
		}
		e.keyspace = outer
	}
	r.w.count(c.op.Kind)
	c.advance()
}

// start goes to the first record.
func (c *run) start() {
	c.at, c.dec = 0, decoder{buf: c.held, tick: 1}
	c.advance()
}

// advance goes to the next record.
func (c *run) advance() {
	if len(c.dec.buf) == 0 && c.at == 0 {
		c.at, c.dec.buf = 1, c.taken
	}
	c.rest = len(c.dec.buf)
	if c.ok = c.rest > 0; c.ok {
		// Each record stands for itself.
		c.dec = decoder{buf: c.dec.buf, tick: 1}
		c.dec.begin(&c.op)
	}
}

// hold keeps the records from the current one on for the next time, and gives
// back the memory of the others.
func (c *run) hold() []byte {
	rest := c.rest
	switch {
	case !c.ok:
		c.held = c.held[:0]
	case c.at == 0:
		c.held = append(c.held[:0], c.held[len(c.held)-rest:]...)
		c.held = append(c.held, c.taken...)
	default:
		c.held = append(c.held[:0], c.taken[len(c.taken)-rest:]...)
	}
	taken := c.taken
	c.taken = nil
	return taken
}
