// Package faults breaks the coordinator on purpose and shows that what it promises holds. It has
// tests only: a real engine over a real Pebble ledger, on file systems that crash, fail, fill up
// or rot. What needs processes, networks and agents is tested in coordinator/blackbox. Which
// promise is shown by which test stands in coordinator/RELIABILITY.md.
//
// # Words
//
// A life is one engine over one ledger from its start to its stop or crash. A crash keeps what
// was synced and a share of what was not. A gate holds a batch back between two steps of its
// way, so that a race goes the way that the test wants. A history is what clients asked and were
// answered, with when.
//
// # What is always true
//
//   - Every fault says that it fired; a test whose fault did not fire fails.
//   - Time is that of a testing/synctest bubble: nothing sleeps, and "expired exactly now" is a
//     line of a test. Disks that fail for good are outside of one, because Pebble leaves
//     goroutines behind that try again.
//   - What is random comes from a seed that is printed. SEED=n repeats it, STINT_SOAK=1 makes the
//     random tests ten times longer, and the histories a hundred times.
//   - A client whose call was under way at a crash doesn't know whether it took effect. The checks
//     take both, and nothing else.
//
// The folder planted holds bugs as patches, and a program that shows that the tests find them.
package faults
