package commit

import "time"

// delaySteps: how often a sync that waits for others looks whether they came.
const delaySteps = 4

// settle syncs and publishes all that is pending, of which self is one, and
// ends it. Called with the syncer's role; returns without it.
func (p *Pipeline) settle(self *Request) {
	var batch *groupBuf
	err := ErrPanicked
	defer func() { p.endBatch(batch, self, err) }() // also when a callback panics

	p.delay()
	p.mu.Lock()
	sync := p.wantSync
	batch, p.pending, p.wantSync = p.pending, nil, false
	p.mu.Unlock()
	if sync {
		if e := p.cfg.Sync(batch.reqs); e != nil {
			err = e
			return
		}
	}
	p.cfg.Publish(batch.reqs)
	err = nil
}

// endBatch hands the syncer's role on and ends the batch, which is nil if a
// callback panicked before there was one. After a failure it ends all that is
// pending, too.
func (p *Pipeline) endBatch(batch *groupBuf, self *Request, err error) {
	p.mu.Lock()
	if batch != nil {
		p.together = len(batch.reqs) + p.queued
		if p.pending != nil {
			p.together += len(p.pending.reqs)
		}
	}
	var doomed *groupBuf
	if err != nil {
		p.Fail(err)
		doomed, p.pending, p.wantSync = p.pending, nil, false
	}
	var heir *Request
	if p.pending != nil {
		heir = p.pending.reqs[0]
	} else {
		p.syncing = false
		p.becameIdle()
	}
	p.mu.Unlock()

	if heir != nil {
		heir.wake <- turnSync
	}
	for _, buf := range []*groupBuf{batch, doomed} {
		if buf != nil {
			p.complete(buf.reqs, self, err)
			p.recycle(buf)
		}
	}
}

// delay gives others the chance to join the sync that is about to start.
func (p *Pipeline) delay() {
	if p.cfg.DelayMax <= 0 || p.cfg.Sleep == nil {
		return
	}
	for range delaySteps {
		p.mu.Lock()
		enough := !p.wantSync || len(p.pending.reqs) >= p.together || p.refusal() != nil
		p.mu.Unlock()
		if enough {
			return
		}
		p.cfg.Sleep(max(p.cfg.DelayMax/delaySteps, time.Nanosecond))
	}
}
