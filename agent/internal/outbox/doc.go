// Package outbox keeps reports on disk from the end of an attempt until the coordinator has acknowledged them, so that
// a result that was paid for outlives a crash of the agent and any absence of the coordinator.
//
//	OUTBOX-DIR/AGENT-ID/
//	  lock              held while an agent runs; whoever holds it has this agent id on this machine
//	  reports           records, one after the other: a report with its number and ledger, or the numbers that are done with
//	  refused/7-….json  a success that the coordinator did not want, for people; kept for 7 days
//	  damaged/          what could not be read, as it was found
//
// # How it works
//
// Reports and removals are appended, all that is there at once with one write and at most one sync: to make a file of each
// report would cost more than to run the task. When much of the file is done with, or when it can't be trusted because
// writing to it failed, what is still wanted is written to a new file that takes its place.
//
// # What is always true
//
//   - When Put returns, the reports are on disk: written and synced. If the disk refused, that was logged at ERROR, the
//     reports are kept in memory, pending all the same, and Retry writes them as soon as the disk lets it.
//   - A record counts whole or not at all. What a crash or a person left behind is set aside and logged, never fatal, and
//     costs no record beside it.
//   - A report is pending only for its own ledger: another coordinator's ledger knows nothing of its lease.
//   - Removing is not synced, and may be undone by a crash. Then the report goes out again and is answered as a duplicate.
//     A removal that the disk refused is logged, and tried again by Retry.
//   - Nothing is left of a report that is done with once the outbox is empty and Retry or Close has been called.
//   - Two processes never share a folder.
//
// # What callers must do
//
// Open, call Retry now and then (at each heartbeat, say), Close. Put before a report is sent, Remove or Refuse when it is
// acknowledged. All methods may be called from any number of goroutines; reports are shared, not copied, and must not be
// changed after Put. Pending and Len never wait for the disk.
package outbox
