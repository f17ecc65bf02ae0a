// Package transfer brings tasks in from the single-host worker's files, and takes tasks out as
// JSON lines that it reads again.
//
// # Words
//
//	definition  what a task is: an entry of a queue.json, or a line with `id` of a .jsonl file
//	record      where a task stands: a line or entry of an execution log, or of completed[], failed[]
//	plan        what an import will do, put together of all files before anything is written
//	fault       one reason to import nothing, with file, line and column
//
// # Shapes
//
// A .json file is a queue (`tasks` is a list) or an execution log (`tasks` is an object by task
// id); a .jsonl file has an object a line: with `id` a definition, which may say where it stands
// as well, with `task_id` alone a record. Of records of one task the last wins, over all files in
// the order given; a record of a log beats completed[] and failed[], and those beat a
// definition's own status. What was in progress becomes READY.
//
// # What is always true
//
//   - All files are read and checked, also against the ledger, before anything is written. Any
//     fault: nothing is imported. All faults are told at once, up to maxFaults of them.
//   - An import is one change of the ledger. Repeating it adds nothing.
//   - Files are only read. Memory is bounded by the limits in limits.go, whatever a file holds.
//   - Nothing is lost in silence: a key without a meaning here becomes a parameter of the task,
//     and that is reported; what cannot be kept is a warning.
//   - A payload is what the server would have made of the same task at submit, but for the retry
//     policy of its queue, which is for tasks that are submitted: what a file leaves unset of a
//     task's own has the general default. An export leaves nothing unset.
//
// # Export
//
// A line has the worker's own keys; what it had no key for stands under `stint`, spelled like the
// contract's JSON. Importing an export into an empty ledger gives the same tasks in the same
// order and the same terminal states, results and failures; of attempts it keeps the last, and
// runs begin at 1. Lines come newest first, and are taken in oldest first; of an export in parts the
// last part is imported first, its lines as they are. Only tasks have lines: the settings of queues,
// and sums of what was spent, stay with the ledger. What a task outlived of its dependencies is as
// forgotten after the import as before.
//
// A line has a digest where its content is not what was submitted, since a queue's defaults or a
// retry changed it. By the digest the submit that made the task is a repeat of it there too, and
// its own ledger knows the line again. Who edits such a line drops its digest. A coordinator does
// not tell digests, so lines asked of a running one have none: then such a task has other content.
package transfer
