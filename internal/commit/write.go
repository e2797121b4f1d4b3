package commit

// enqueue appends r to the queue. Called with mu held.
func (p *Pipeline) enqueue(r *Request) {
	p.mustSleep(r)
	if p.head == nil {
		p.head = r
	} else {
		p.tail.next = r
	}
	p.tail = r
	p.queued++
}

// dequeue takes the first request out of the queue. Called with mu held.
func (p *Pipeline) dequeue() *Request {
	r := p.head
	p.head, r.next = r.next, nil
	p.queued--
	return r
}

// mustSleep gives r what it sleeps on.
func (p *Pipeline) mustSleep(r *Request) {
	if r.wake == nil {
		r.wake = p.wakes.Get().(chan turn)
	}
}

// sleep waits for r's turns and takes them.
func (p *Pipeline) sleep(r *Request) {
	switch <-r.wake {
	case turnWrite:
		p.mu.Lock()
		p.lead(r)
	case turnSync:
		p.settle(r)
	}
}

// lead writes the group that starts with r and sees to it that r is done.
// Called with mu held and the writer's role; returns without both.
func (p *Pipeline) lead(r *Request) {
	buf, group := p.gather(r)
	if err := p.refusal(); err != nil {
		p.passWriter()
		p.complete(group, r, err)
		p.recycle(buf)
		return
	}
	// Only the writer's role adds to what is pending: it stays quiet.
	quiet := !p.syncing
	p.mu.Unlock()

	group, sync, published, err := p.write(r, buf, group, quiet)
	p.mu.Lock()
	switch {
	case err != nil && !retryable(err):
		p.Fail(err)
	case err == nil && !published && len(group) > 0:
		if err = p.Failed(); err == nil {
			p.stage(r, buf, group, sync)
			return
		}
	}
	p.passWriter()
	p.complete(group, r, err)
	p.recycle(buf)
}

// gather takes the group that starts with r, which is either the first of the
// queue or was never in it, out of the queue. Called with mu held.
func (p *Pipeline) gather(r *Request) (buf *groupBuf, group []*Request) {
	if p.head == r {
		p.dequeue()
	}
	r.alone[0] = r
	group = r.alone[:1]
	bytes := max(r.Bytes, 0)
	for q := p.head; q != nil && !q.exclusive; q = p.head {
		bytes += min(max(q.Bytes, 0), p.cfg.GroupBytesMax+1) // no overflow on 32 bits
		if bytes > p.cfg.GroupBytesMax || len(group) == p.cfg.GroupCountMax {
			break
		}
		if buf == nil {
			buf = p.bufs.Get().(*groupBuf)
			buf.reqs = append(buf.reqs, r)
		}
		buf.reqs = append(buf.reqs, p.dequeue())
		group = buf.reqs
	}
	return buf, group
}

// write calls Write, lets go of what it refused and, if the rest may be
// published at once, calls Publish. rest is in the memory of group; sync says
// whether any of it asked for that.
func (p *Pipeline) write(r *Request, buf *groupBuf, group []*Request, quiet bool) (rest []*Request, sync, published bool, err error) {
	rest = group
	died := true
	defer func() {
		if died {
			p.Fail(ErrPanicked)
			p.mu.Lock()
			p.passWriter()
			p.complete(rest, r, ErrPanicked)
		}
	}()
	err = p.cfg.Write(group)
	rest, sync = dismiss(group, r)
	if buf != nil {
		buf.reqs = rest
	}
	if published = err == nil && quiet && !sync && len(rest) > 0; published {
		if err = p.Failed(); err == nil {
			p.cfg.Publish(rest)
		}
	}
	died = false
	return rest, sync, published, err
}

// dismiss ends the requests that Write refused and closes the gaps they leave
// in group. sync says whether anybody of the rest asked for that. self is the
// caller's own and awake.
func dismiss(group []*Request, self *Request) (rest []*Request, sync bool) {
	rest = group[:0]
	for _, q := range group {
		if q.Refused == nil {
			rest = append(rest, q)
			sync = sync || q.Sync
			continue
		}
		q.err = q.Refused
		if q != self {
			q.wake <- turnDone
		}
	}
	clear(group[len(rest):])
	return rest, sync
}

// stage makes the written group pending and gives up the writer's role; then
// its leader r becomes the syncer or sleeps. A leader that was refused does
// neither: it leaves the syncer's role to the first of the group. Called with
// mu held.
func (p *Pipeline) stage(r *Request, buf *groupBuf, group []*Request, sync bool) {
	switch {
	case p.pending != nil:
		p.pending.reqs = append(p.pending.reqs, group...)
	case buf != nil:
		p.pending, buf = buf, nil
	default:
		p.pending = p.bufs.Get().(*groupBuf)
		p.pending.reqs = append(p.pending.reqs, group...)
	}
	p.wantSync = p.wantSync || sync
	vacant := !p.syncing
	p.syncing = true
	refused, heir := r.Refused != nil, group[0]
	if !vacant && !refused {
		p.mustSleep(r)
	}
	p.passWriter()
	p.recycle(buf)
	switch {
	case refused && vacant:
		heir.wake <- turnSync
	case refused:
	case vacant:
		p.settle(r)
	default:
		p.sleep(r)
	}
}

// passWriter gives the writer's role to the first of the queue, or fails the
// whole queue if nothing may be written any more. Called with mu held, which it
// releases.
func (p *Pipeline) passWriter() {
	var doomed *Request
	err := p.refusal()
	if err != nil {
		doomed, p.head, p.queued = p.head, nil, 0
	}
	heir := p.head
	if heir == nil {
		p.writing = false
		p.becameIdle()
	}
	p.mu.Unlock()
	if heir != nil {
		heir.wake <- turnWrite
	}
	for q := doomed; q != nil; {
		next := q.next // q is its owner's again once it is woken
		q.err = err
		q.wake <- turnDone
		q = next
	}
}

// complete ends all requests of the group. self is the caller's own and awake.
func (p *Pipeline) complete(group []*Request, self *Request, err error) {
	for _, q := range group {
		q.err = err
		if q != self {
			q.wake <- turnDone
		}
	}
}

// recycle takes back a buffer that nobody uses any more; nil is fine.
func (p *Pipeline) recycle(buf *groupBuf) {
	if buf != nil {
		clear(buf.reqs)
		buf.reqs = buf.reqs[:0]
		p.bufs.Put(buf)
	}
}
