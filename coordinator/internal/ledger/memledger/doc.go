// Package memledger is a ledger in memory, for tests of the layers above: the same records in
// the same encoding as on disk, and handles to make happen what a disk does once in a year.
//
// Hold lets batches be applied and seen but not become durable, until Release; FailCommit and
// FailWait make the next one fail, and with it, as on a disk, all that follow; Crash gives the
// ledger that a crash at this moment would leave. It starts no goroutine and reads no clock.
//
// Each commit copies the table of keys: meant for some ten thousand tasks, not for millions.
package memledger
