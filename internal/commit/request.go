package commit

import "errors"

// What a commit or the pipeline fails with, besides what callbacks return.
var (
	ErrPanicked = errors.New("commit: a callback panicked; the state of what it worked on is unknown")
	ErrClosed   = errors.New("commit: pipeline closed")
)

// RetryableError marks an error of Write that says: this group failed, nothing
// of it is visible or ever will be, and later groups may go on.
type RetryableError struct {
	Err error
}

// Error implements error.
func (e *RetryableError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *RetryableError) Unwrap() error { return e.Err }

// Request is one commit. The zero value is ready; it may be used again, also
// from a pool, when Commit has returned. It must not be copied while in use.
type Request struct {
	// Sync asks that the commit be durable before it is published.
	Sync bool
	// Bytes is the request's weight against GroupBytesMax.
	Bytes int
	// Batch is the caller's: the pipeline does not look at it.
	Batch any
	// Refused is for Write to set on a request that it leaves out of what it
	// writes: Commit then returns it, the request is neither synced nor
	// published, and the others of its group go on. Commit clears it first.
	Refused error

	err       error
	next      *Request    // in the queue; guarded by the pipeline's mu
	wake      chan turn   // nil until it may have to sleep
	alone     [1]*Request // a group of one needs no other memory
	exclusive bool        // an Exclusive in the queue: never part of a group
}

// Err returns what the last Commit of this request returned.
func (r *Request) Err() error { return r.err }

// turn is what a sleeping request is woken for.
type turn uint8

const (
	turnDone  turn = iota // err is set
	turnWrite             // it has the writer's role and is the first of the queue
	turnSync              // it has the syncer's role and is the first that is pending
)
