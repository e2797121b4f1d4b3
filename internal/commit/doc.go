// Package commit turns concurrent commits into groups: one write, and at most
// one sync, for all that arrived in the meantime. What a write, a sync and a
// publication are is injected; the package knows no file and no database.
//
// # Nouns
//
//   - A [Request] is one commit on its way.
//   - A group is a run of requests, in the order of their arrival, that is
//     written by one call of Write.
//   - The leader of a group is the goroutine of its first request. It calls
//     Write. The others of the group, its followers, sleep.
//   - A batch is all that was written and not yet published when the syncer,
//     the goroutine of its first request, calls Sync and Publish.
//
// # The steps of a commit
//
//		         queue             writer's role        pending        syncer's role
//		Commit ---------> [r r r] --- Write(group) ---> [r r r r] --- Sync, Publish(batch) ---> wake
//
//	 1. A request takes the writer's role if it is free, else it queues and
//	    sleeps.
//	 2. The leader takes the queue, up to GroupBytesMax and GroupCountMax, and
//	    calls Write.
//	 3. If nothing is pending and nobody of the group asked for a sync, it calls
//	    Publish at once. Else the group becomes pending.
//	 4. It gives the writer's role to the first of the queue, which wakes up and
//	    leads the next group: the next Write runs beside this group's Sync.
//	 5. If the syncer's role is free, the leader takes it: it takes all that is
//	    pending, calls Sync if anybody of it asked for that, calls Publish, gives
//	    the role to the first that became pending meanwhile, and wakes its batch.
//
// Exclusive takes the writer's role through the same queue, waits until nothing
// is pending, and runs a function.
//
// # Invariants
//
//  1. One goroutine has the writer's role, one the syncer's; they may be two.
//  2. Write sees requests in the order of the queue; Publish in the order of
//     Write, each request at most once; a request that asked for a sync after
//     a Sync that began after its Write returned.
//  3. The queue is empty while nobody has the writer's role, and nothing is
//     pending while nobody has the syncer's. So nobody sleeps for ever.
//  4. Only the writer's role adds to what is pending.
//  5. A request that failed is never published, nor is any that was written
//     after one whose Write or Sync failed. The first failure sticks: no Write
//     starts after it. Requests written before a failed Write are synced and
//     published as if nothing had happened.
//  6. The exception: a Write that fails with a [RetryableError] fails its own
//     group alone.
//  7. A refused request is never synced for, published, or failed by what
//     becomes of the others of its group, nor they by it.
//
// # Panics
//
// A panic in a callback goes on in the goroutine that ran it. For the others it
// is a failure with [ErrPanicked] that sticks, as nobody knows how far the
// callback came; they never hang. runtime.Goexit counts as a panic.
//
// # Rejected
//
// A goroutine of its own for writing, or for syncing, costs a handover for each
// commit: one writer without sync would pay two context switches, where it now
// pays two uncontended locks. Syncing inside the writer's role makes the next
// group wait for the disk twice: once for its predecessor, once for itself.
//
// Everything here is safe for concurrent use. Callbacks must not call into the
// pipeline, except Fail and Failed. The package starts no goroutine.
package commit
