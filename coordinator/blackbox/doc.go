// Package blackbox tests stint as its users meet it: the two real programs, as separate processes, over real sockets and
// real files, asked through the contract, the command line and grpcurl. It holds nothing but tests.
//
// # Words
//
//   - A process is one of the programs, started by a test and ended by it, whatever becomes of the test.
//   - A journal is what a process wrote so far; a test waits for lines of it.
//   - The stand-in is `stint-agent sandbox`; an api is a server in the test itself, where a test must see or choose what
//     passes between an agent and its API.
//
// # What is always true
//
//   - Nothing waits for a time to pass, but where that time is itself the fault: a multiple of a lease's length. A test waits
//     for a line, an answer or an event, within one liveness bound that says only that something is broken.
//   - The programs are built once a run, out of the tree as it stands, and with the race detector if the tests have it; a
//     race in one of them fails the test that started it.
//   - All ports are picked by the system, all folders are the test's own.
//   - Every process is ended by its id, also when a test fails; on Linux also when the test program itself is killed.
//   - A test that needs a program which is not there is skipped, or fails under STINT_REQUIRE=all.
//
// # Where what is shown
//
// arrows_test.go holds the packages to the layout. The files worker_*_test.go go through what worker.py did, one test a row;
// the table at their head also names the tests of other packages that show a row more closely. reason_test.go provokes the
// error reasons, and names those that can't be provoked from outside in short time. The files fault_*_test.go break processes,
// networks, disks and APIs while work goes on; fault_test.go says how.
package blackbox
