package memledger

import "math"

// Hold keeps batches committed from now on from becoming durable: their waits block.
func (l *Ledger) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = l.commits
}

// ReleaseNext lets the oldest batch that is held, or else the next one, become durable.
// It is for a ledger on Hold.
func (l *Ledger) ReleaseNext() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open++
	l.settle()
	l.changed.Broadcast()
}

// Release ends Hold: all batches held, and all later ones, become durable.
func (l *Ledger) Release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = math.MaxInt
	l.settle()
	l.changed.Broadcast()
}

// FailCommit makes the next Commit return err, its batch and all later ones not applied.
func (l *Ledger) FailCommit(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail.commit = err
}

// FailWait makes the next batch that would become durable fail to: its wait returns err,
// and so does everything later.
func (l *Ledger) FailWait(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fail.wait = err
}

// Commits is how many batches were applied.
func (l *Ledger) Commits() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.commits
}

// Held is how many of them are not durable.
func (l *Ledger) Held() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.held)
}

// Crash gives what a crash at this moment would leave: a ledger of the same identity, led by
// nobody, with the durable batches only. This one goes on as it is.
func (l *Ledger) Crash() *Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return with(l.durable)
}
