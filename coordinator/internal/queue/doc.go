// Package queue is the core of the coordinator: a pure state machine that knows tasks, their
// dependencies, leases, agents and queues, and nothing of clocks, disks or networks.
//
// Words: a task has runs, numbered from 1 at submit and at each retry; a run has attempts,
// numbered from 1 over all runs; an attempt is one lease granted to one agent. A session is an
// instance of an agent that sends heartbeats over streams; the unary calls need none.
//
// # How it is driven
//
//	Step(times, commands) ──▶ Effects: records to commit, then answers, grants, cancels
//
// A step first takes the times, then makes READY or EXPIRED what the wall clock says, then takes
// the commands in order, then ends leases that nobody extended, then settles dependents of tasks
// that ended, and last matches READY tasks with agents that want work. Nothing in Effects may
// leave the process before its batch is durable.
//
// Finished tasks are not in memory. A command that names one comes back in Effects.Missing; the
// caller looks it up in the ledger and hands the command in again. What it found may be stale by
// then, so a task that ended or was pruned is remembered until Input.Settled says that every
// look-up still under way has seen it: what the machine remembers goes before what was looked up.
//
// # What is always true
//
//   - Submitted = the sum of all states + pruned; RUNNING means exactly one live lease (Q1, L1).
//   - Attempt numbers of a task rise by one with each grant and never repeat (L2).
//   - The same commands at the same times give the same records and answers (D7): no map is
//     walked where order shows, and back-off is a hash of serial and attempt.
//   - Times do not go back: now is the newest ever told, across restarts too.
//
// # What survives a crash
//
// All but heartbeats, confirmations, progress, credit and waiting calls. After a restart every
// live lease has its full length again and counts as unconfirmed (L7).
//
// # How it is laid out
//
// Tasks, edges and ids lie in chunked slices without pointers, addressed by handles, so that ten
// million waiting tasks cost about 200 bytes each and the garbage collector nothing. Heaps drop
// stale entries when they surface. READY tasks wait in one heap for each queue and set of
// required labels (a class); agents with the same labels and queues share a profile, which knows
// the classes it can run.
package queue
