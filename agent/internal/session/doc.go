// Package session is the agent's link to the coordinator: it takes leases, has them run, and sees their reports home.
//
// # Words
//
//   - A link is one stream. The session outlives its links: after each it dials again, and tells what it holds.
//   - Held: granted to this process, and its report not acknowledged yet. A work is a lease that is held; it is queued,
//     running or finished.
//   - Credit is how many leases the coordinator may grant in all since its welcome: those it has granted plus the slots
//     that are free now.
//   - Trouble: the API could not be reached, or refused the agent itself. Until a call succeeds one slot at a time is
//     offered, after ever longer waits, and what comes for earlier credit goes back unstarted: a broken agent must not
//     eat the queue.
//
// # How it works
//
//	            events            ┌─ reader ◀── stream
//	slots ──▶   Run's loop  ◀──── link
//	  ▲ │       (all state)  ────▶└─ writer ──▶ stream
//	  │ └─▶ outbox    │ out, bounded
//	  └───────────────┘
//
// One goroutine owns all state and never waits: for a slow stream there is a bounded queue, whose overflow ends the link,
// and everything that touches the disk happens elsewhere: one goroutine puts the reports of calls into the outbox, all that
// have ended meanwhile at once, before the loop gets them. Each turn of the loop takes one event, does what has become due,
// and sends what has changed as one message where sizes allow.
//
// # What is always true
//
//   - A report is in the outbox before it is sent, and sent until it is acknowledged: again after two heartbeat intervals
//     and on every new link, to its own ledger only.
//   - Every heartbeat lists all that is held; each message with grants is answered with one at once.
//   - Credit never exceeds free slots, nor what is left of MaxTasks, at the time it is given.
//   - A lease that was granted ends as a report, as a release, or by a cancel; a panic of the runner is a report.
//   - After a sleep longer than the leases the link is given up before anything that came over it is acted upon, so that no
//     call starts for a lease that has gone to somebody else.
//   - A broken link ends no work. Only a hello that is refused for good ends Run with an error.
//
// # What callers must do
//
// Build with New, call Run once. Drain ends it in good order, the end of its context at once; work that is cut then is in
// nobody's report, and the coordinator takes the leases back when they expire.
package session
