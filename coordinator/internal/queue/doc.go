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
// the commands in order, then ends leases that nobody extended or whose agent was to have drained,
// then settles dependents of tasks that ended, and last matches READY tasks with agents that want work. Nothing in Effects may
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
//   - Of a queue with a budget, settled + reserved never exceeds the limit and the overruns (B1);
//     reserved is the sum over its live leases that were granted in the present period (B2).
//   - Every attempt settles when its lease ends, and at most once more, by a late report (B3).
//
// # Who is next
//
// Queues take turns by weight. Within one, the fairness key with the fewest running tasks is
// next, of several the one served longest ago, and of its tasks the one with the lowest order
// key. A queue that is paused, at max_running, without a token or whose head does not fit its
// budget grants nothing; a task whose concurrency key is full is passed by others, and so is one
// that reserves more than the whole budget. What is past its expire_time is granted no more; it ends
// as EXPIRED a part at a time.
//
// # What survives a crash
//
// All but heartbeats, confirmations, progress, credit and waiting calls, and whose turn it is.
// After a restart every live lease has its full length again and counts as unconfirmed (L7);
// what is reserved and runs is counted again from the leases, and the buckets of rates are empty.
//
// # How it is laid out
//
// Tasks, edges and ids lie in chunked slices without pointers, addressed by handles, so that ten
// million waiting tasks cost about 200 bytes each and the garbage collector nothing. Heaps drop
// stale entries when they surface. READY tasks wait in one heap (a lane) for each queue, set of
// requirements and fairness key. The lanes of a queue and set (a class) lie in a heap by whose
// first task is next; agents with the same labels and queues share a profile, which knows the
// classes it can run.
package queue
