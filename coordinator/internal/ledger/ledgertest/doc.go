// Package ledgertest is the suite that every ledger passes, and what it is made of.
//
// A Maker makes batches as a coordinator would, from a seed: submits, grants, failures,
// completions, retries, pruning, with events and counts that add up. A Model is the naive
// ledger that the others are judged by: a fold of batches over maps. Dump reads a ledger
// whole, through the seam alone, into a Model, so that two can be compared.
//
// Run wants ledgers of their own for each case from its open function. A ledger that can tell
// what a crash would leave of it is also crashed at every commit boundary (D1 to D5).
package ledgertest
