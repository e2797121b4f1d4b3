package db

// addTx registers a transaction and gives it its sequence number, as
// addSnapshot does for a snapshot. It takes no memory: transactions are a
// list. false: the store is closed, but the transaction has to be ended.
func (r *registry) addTx(c *txCore) (ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.listed = r.listed
	c.seq, ok = r.position(c.db, &c.pin)
	c.prev, c.next = nil, r.txs
	if r.txs != nil {
		r.txs.prev = c
	}
	r.txs = c
	return ok
}

// removeTx forgets a transaction. held says that a compaction may have kept
// something for it.
func (r *registry) removeTx(c *txCore) (held bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unlinkTx(c)
	return c.listed != r.listed
}

// unlinkTx takes a transaction out of the list, once. Called with mu held.
func (r *registry) unlinkTx(c *txCore) {
	switch {
	case c.prev != nil:
		c.prev.next = c.next
	case r.txs == c:
		r.txs = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	}
	c.prev, c.next = nil, nil
}

// closeTxs makes the calls of all open transactions fail. It returns where
// those began that somebody has to end, and what gives back the read states
// that they keep, which is to be called without mu. Called with mu held.
func (r *registry) closeTxs() (open []string, unpin []func()) {
	for r.txs != nil {
		c := r.txs
		r.unlinkTx(c)
		c.closed.Store(true)
		if c.handle != nil {
			open = append(open, c.handle.String())
		}
		if state := c.pin.state.Swap(nil); state != nil {
			db := c.db
			unpin = append(unpin, func() { db.release(state) })
		}
	}
	return open, unpin
}
