// Package engine is the coordinator's one writer. It takes the calls of the server, looks up
// what only the ledger knows, steps the machine (package queue), commits what came of it, and
// only then lets replies, grants, events and reads leave the process.
//
//	callers ── look up ──▶ calls ──▶ loop ───────▶ committer ────▶ releaser ──▶ callers, streams,
//	   ▲                    ▲       machine.Step   ledger.Commit   wait()       watchers, waiters
//	   │                    │         │  ▲                            │
//	   │                    └ look up ┘  └──── what was released ◀────┤
//	   └───────────────────── Missing                                 └─▶ fail-stop
//
// # Words
//
// A call is a command on its way, with who waits for it. A turn is what one step asked for; it
// mostly has a batch, the records to be written. A batch is stepped, then applied (readers may
// see it), then durable, then released (its turn has left). Batches are numbered without gaps.
//
// # What is always true
//
//   - One goroutine, the loop, touches the machine. It does no I/O and waits for no reader.
//   - A turn leaves after its own batch and all batches before it are durable (D3). A turn
//     without a batch waits for the one before it.
//   - At most three batches are in flight: while one syncs the next are stepped and applied. What
//     comes meanwhile gathers, so a slow disk makes batches bigger, not waits longer.
//   - Reads that need the machine are commands too, and leave like replies. Reads of the ledger
//     are held until the newest batch handed to it is released, because readers see a batch
//     before its sync has ended.
//   - A look-up notes, before it reads, the newest batch applied. The machine is told the least
//     of these notes (Settled) and remembers what ended after it, so no look-up is stale when
//     it is stepped.
//   - The releaser blocks on the disk alone: a stream's outbox is bounded and ends with
//     ErrTooSlow, a watcher has no buffer but reads a ring of the newest events, or the ledger.
//   - A stream's grants, acks and cancels leave in order; a cancel never before its grant.
//   - With many streams open, heartbeats that say no more are held for some milliseconds, so that
//     they wake everybody on their way once for some of them; each turn takes those that are held.
//   - Time is told to the machine: now never goes back, elapsed is monotonic. After a stall all
//     that has arrived is stepped before anything expires (L7).
//
// # What survives
//
// After a failed Commit or wait nothing is acknowledged any more: calls under way are not
// answered at all, Run returns the error, and the process must exit with a failure (D5). What
// was stepped and not committed is gone, and nobody has heard of it. On the next start the
// machine is built from the ledger, every lease anew at its full length.
//
// # What callers must do
//
// Run once, in a goroutine of its own; wait for Active before telling anybody that this
// coordinator serves. To drain, call GoingAway first, then end Run's context once the calls
// under way have been answered. Do not change slices that were handed in. Close every Stream
// and Watcher. A Stream may have one sender and one receiver at a time, a Watcher one reader.
package engine
