package vlog

// Failed is the error for which the writer refuses everything, or nil while it
// takes appends. Safe for concurrent use.
func (w *Writer) Failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}
