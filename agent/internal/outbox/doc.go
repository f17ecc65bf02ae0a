// Package outbox keeps reports on disk from the end of an attempt until the coordinator has acknowledged them, so that
// a result that was paid for outlives a crash of the agent and any absence of the coordinator.
//
//	OUTBOX-DIR/AGENT-ID/
//	  lock                   held while an agent runs; whoever holds it has this agent id on this machine
//	  00000000000000000007   one entry: a report with the ledger that it belongs to; the name gives the order
//	  refused/7-….json       a success that the coordinator did not want, for people; kept for 7 days
//	  damaged/               entries that could not be read, as they were found
//
// # What is always true
//
//   - When Put returns, the report is on disk: file and folder are synced. If the disk refused it, that was logged at
//     ERROR, the report is kept in memory, pending all the same, and Retry writes it as soon as the disk lets it.
//   - An entry appears whole or not at all. What a crash or a person left behind is set aside and logged, never fatal.
//   - A report is pending only for its own ledger: another coordinator's ledger knows nothing of its lease.
//   - Removing may be undone by a crash. Then the report goes out again and is answered as a duplicate.
//   - Two processes never share a folder.
//
// # What callers must do
//
// Open, call Retry now and then (at each heartbeat, say), Close. Put before a report is sent, Remove or Refuse when it is
// acknowledged. All methods may be called from any number of goroutines; reports are shared, not copied, and must not be
// changed after Put.
package outbox
