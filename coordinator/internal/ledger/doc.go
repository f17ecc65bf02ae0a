// Package ledger is the durability seam: what the coordinator needs of the store behind it,
// in seven methods, and nothing of how a store does it.
//
// A ledger holds a head, queues, what was spent in them, the specs of all tasks, a live record
// for each task that is not terminal, a terminal record for each that is, records of attempts
// that their task outlived, and the ordered history of events. A batch changes all of them or none.
//
// What is always true
//
//   - What a recovered ledger holds is the fold of a prefix of the committed batches, and that
//     prefix contains every batch whose wait has returned nil (D1, D2, D4).
//   - After an error of Commit, or of its wait, nothing later becomes durable (D5).
//   - Data that cannot be read is an error that names where it is; nothing is dropped
//     silently, nothing deleted (D6).
//
// The implementations are in the folders below: memledger for tests of the layers above and
// pebbleledger for one machine. All pass the suite in ledgertest.
package ledger
