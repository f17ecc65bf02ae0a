// Package record is how ledgers over ordered keys spell what they keep: one key layout and
// one encoding, shared by all of them, so that a record means the same everywhere.
//
// # Keys
//
//	m                     the ledger's own format, id and secret
//	h                     the head, rewritten by every batch
//	q NAME                a queue
//	p QUEUE BY NAME       what was spent in a queue, in all and by each agent and fairness key
//	w SERIAL              the spec of a task, with its id
//	k GENERATION ID       the serial that has an id; it may come later than the spec,
//	j                     which is why this says up to where the index is complete
//	l SERIAL              the live record of a task that is not terminal
//	t SERIAL              the terminal record of one that is, with its result
//	a SERIAL NUMBER       an attempt that its task outlived
//	d SERIAL              a terminal task whose pruning waits for live dependents
//	e SEQUENCE            the events of one commit, under the sequence of the first
//
// Numbers are big endian, so that keys sort as the numbers do. What is large lies under serials:
// it arrives in the order of its keys, and a store that merges sorted tables has nothing to merge.
// Ids come at random, and are short; they are divided into generations, of a million serials each, so that
// what is old is not merged again and again with what is new. An id is sought in one after the other, from the
// newest: if several have it, the newest is right. An index entry may outlive its task; serials are never used
// again, so that it leads to no spec. Live records have a range of
// their own: starting up reads that range, the newest specs if the index lacks them, and none of the
// history. A task's life is five
// writes and its entry of the index: live put, live overwritten, live deleted, spec, terminal record.
//
// # Values
//
// A value is a version byte and then fields in a fixed order: varints, and strings after
// their length. What has its usual value is left out, and a word of flags says what is there.
// The usual values (usualQueue and its neighbours) are part of the format and never change.
// Format 2 has added to format 1 (limits, money, keys, requirements) and changed nothing that was
// there: a record of format 1 is one of format 2 that says nothing of these. Up to format 2 specs
// lay under their ids and there was no index: DecodeOldSpec reads them, for a ledger to convert. The index of
// format 3 had no generations; a ledger makes it anew from the specs. Format 4 has gained a flag of a queue on
// the way (queueSince), which is there only after the period of a budget was changed in the middle of one. A
// program from before it takes such a queue for unreadable and refuses to serve; it loses nothing.
//
// # What is always true
//
//   - Encoders append to the slice they are given and allocate nothing else.
//   - Decoders copy what they keep, check every bound, never panic and take nothing beyond
//     what is there: what they allocate is bounded by the length of the value. What they cannot
//     read is a ledger.ErrCorrupt that names the key, a newer version a ledger.ErrFormat.
//   - Decoding what was encoded gives the same record; empty and nil slices are one.
package record
