// Package keyed is a ledger over anything that keeps values under ordered keys: how a batch
// becomes writes, and how tasks, pages and events are read back. What is left to a store is
// to apply a set of writes as one, to make it durable, and to give a view of one moment.
//
// A View is a moment: all that one call reads comes from it, so a task that moves from live
// to terminal meanwhile is seen on one side, and exactly one.
//
// What is always true
//
//   - Every task has a spec, and either a live or a terminal record; deferrals, live and
//     terminal records name tasks that have specs. What is read otherwise is
//     ledger.ErrCorrupt, naming the task.
//   - A page reads at most Query.Examine tasks and not many more bytes than pageBytes, so
//     that a filter that matches little costs a bounded time whatever tasks hold.
//   - Readers keep no state between calls; any number may run at the same time, each with
//     its own View.
package keyed
