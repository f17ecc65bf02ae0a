// Package bench measures a coordinator from outside, as its users meet it: real clients over
// real sockets. Submitters and agents run in this process; the coordinator is another, either
// one that runs already or one that is started for the run on a fresh data folder.
//
// # Words
//
// A life is one task from submit to the moment at which its agent holds RECORDED. A flow is
// submitters and agents under way. A figure is one number with its unit in its name. A row is a
// line of the table that a release is held to. The yardstick is what the machine itself takes
// for a 4 KiB append with fsync and one unary call, measured in the same run.
//
// # What is always true
//
//   - The bench agents run nothing and keep no outbox: what is measured is the coordinator and
//     the contract, and the clients take as little of the machine's time as they can. The overhead
//     mode alone runs the real agent, with its outbox.
//   - What the clients receive is checked: an answer names the tasks of its submit, an ack a lease
//     that is held.
//   - A flow ends in order: nothing is submitted any more, then everything submitted is
//     recorded, then the agents leave. So counts can be held against the coordinator's.
//   - What can't be known is left out, never estimated: CPU, memory and disk of a coordinator
//     that the bench did not start, or on a system without /proc.
//   - Every process and file that a mode made is gone when it returns.
//
// # What callers must do
//
// Build a Bench with New and call its modes one after the other; two at once would measure each
// other. The data folder decides about everything that is synced: on a file system in memory
// the figures mean nothing.
package bench
