// Package pebbleledger is the ledger of one machine: a Pebble database in a folder, with the
// records of package record.
//
// # Life
//
// Lead makes the folder if need be, takes its lock, checks that what lies there can be read
// and is of a known format, and opens it. Batch n+1 may be applied while batch n syncs: Commit
// writes into the log and the memtable, the wait it returns ends with the sync. Close gives
// the folder back. A closed ledger is not opened again; make another.
//
// # Fail-stop
//
// The first failed write or sync is the last: Commit and all waits return it from then on,
// Options.OnFatal is told once, nothing is tried again (D5). What Pebble itself cannot survive
// (a manifest that cannot be written) ends the process at once with status 1, after a log line
// at ERROR: going on could delete files that the manifest on disk still names. After a failure
// Close releases nothing: the process must exit.
//
// # Unreadable data
//
// A folder whose manifest is gone but whose data is there, a log with a hole, a table with a
// wrong checksum, an unknown format: each is an error of Lead, Load or a read, with the file
// where Pebble names it. Opening deletes nothing then (D6). A torn tail of the newest log
// looks like any crash: what was read of it is logged. It is taken for one only if no later
// chunk of that log tells that more had been synced.
//
// # Tables
//
// Each flush makes tables of one sort of record. Those of specs and events, which come in the order
// of their keys, go down to where they stay as they are. Deletions have tables of their own: those
// that have gathered beside each other are merged with what they delete, so that retention gives
// the disk back. What each batch writes again is merged by itself, often, since it is tiny. Ids come at
// random, so that a merge of their index would rewrite most of it: each generation is merged when it is complete, and
// then stays as it is until much of it was deleted. The rest is Pebble's usual way.
//
// # Verify
//
// Verify reads all blocks of all files and all records, and checks them against each other.
// It opens read-only and takes the lock, so a running coordinator's ledger is refused.
package pebbleledger
