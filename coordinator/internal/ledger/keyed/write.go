package keyed

import (
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Sink takes the writes of one batch. It must not keep the slices. The keys of a range are
// those from from up to but without to.
type Sink interface {
	Set(key, value []byte) error
	Delete(key []byte) error
	DeleteRange(from, to []byte) error
	// Index notes which serial has an id, in the index or for later; Unindex that none has any more.
	Index(id string, s queue.Serial) error
	Unindex(id string, s queue.Serial) error
}

// Writer turns batches into writes. It reuses its buffers; one goroutine uses it.
type Writer struct {
	to       Sink
	key, end []byte
	val      []byte
}

// maxScratch bounds the buffer that is kept between batches: a rare large value is given back.
const maxScratch = 256 << 10

// manySerials are deleted by one range, which costs a read more than as many keys.
const manySerials = 16

// Write puts all of b into to. View must show all batches before b; it is opened only if b
// drops events. An error of the batch itself is a fault of its maker: nothing of it may be
// applied.
func (w *Writer) Write(b *queue.Batch, to Sink, view func() (View, func() error, error)) error {
	w.to = to
	defer w.rest()
	if err := w.tasks(b); err != nil {
		return err
	}
	if err := w.drops(b); err != nil {
		return err
	}
	if err := w.events(b, view); err != nil {
		return err
	}
	for i := range b.Queues {
		w.val = record.AppendQueue(w.val[:0], &b.Queues[i])
		if err := w.set(record.AppendQueueKey(w.key[:0], b.Queues[i].Name)); err != nil {
			return err
		}
	}
	for i := range b.Spends {
		w.val = record.AppendSpend(w.val[:0], &b.Spends[i])
		if err := w.set(record.AppendSpendKey(w.key[:0], &b.Spends[i])); err != nil {
			return err
		}
	}
	w.val = record.AppendHead(w.val[:0], &b.Head)
	return w.set(record.AppendKind(w.key[:0], record.KindHead))
}

func (w *Writer) rest() {
	w.to = nil
	if cap(w.val) > maxScratch {
		w.val = nil
	}
}

// set writes w.val.
func (w *Writer) set(key []byte) error {
	w.key = key
	return w.to.Set(key, w.val)
}

func (w *Writer) drop(key []byte) error {
	w.key = key
	return w.to.Delete(key)
}

func (w *Writer) setSerial(k record.Kind, s queue.Serial) error {
	return w.set(record.AppendSerialKey(w.key[:0], k, s))
}

func (w *Writer) dropSerial(k record.Kind, s queue.Serial) error {
	return w.drop(record.AppendSerialKey(w.key[:0], k, s))
}

func (w *Writer) tasks(b *queue.Batch) error {
	for i := range b.Specs {
		w.val = record.AppendSpec(w.val[:0], &b.Specs[i])
		if err := w.setSerial(record.KindSpec, b.Specs[i].Serial); err != nil {
			return err
		}
		if err := w.to.Index(b.Specs[i].ID, b.Specs[i].Serial); err != nil {
			return err
		}
	}
	for i := range b.Live {
		w.val = record.AppendLive(w.val[:0], &b.Live[i])
		if err := w.setSerial(record.KindLive, b.Live[i].Serial); err != nil {
			return err
		}
	}
	for i := range b.Terminal {
		w.val = record.AppendTerminal(w.val[:0], &b.Terminal[i])
		if err := w.setSerial(record.KindTerminal, b.Terminal[i].Serial); err != nil {
			return err
		}
	}
	for i := range b.Attempts {
		a := &b.Attempts[i]
		w.val = record.AppendAttempt(w.val[:0], &a.Attempt)
		if err := w.set(record.AppendAttemptKey(w.key[:0], a.Serial, a.Number)); err != nil {
			return err
		}
	}
	for _, s := range b.Deferred {
		w.val = record.AppendDeferred(w.val[:0])
		if err := w.setSerial(record.KindDeferred, s); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) drops(b *queue.Batch) error {
	for _, s := range b.DropLive {
		if err := w.dropSerial(record.KindLive, s); err != nil {
			return err
		}
	}
	for _, s := range b.DropTerminal {
		if err := w.dropSerial(record.KindTerminal, s); err != nil {
			return err
		}
		if err := w.dropSerial(record.KindDeferred, s); err != nil { // a new life is not due
			return err
		}
	}
	for p := b.Prune; len(p) > 0; {
		n := neighbours(p)
		if err := w.prune(p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// neighbours counts the first tasks that have serials one behind the other.
func neighbours(p []queue.Pruned) int {
	n := 1
	for n < len(p) && p[n].Serial == p[n-1].Serial+1 {
		n++
	}
	return n
}

// prune forgets tasks whose serials are one behind the other.
func (w *Writer) prune(p []queue.Pruned) error {
	spilled := false
	for i := range p {
		spilled = spilled || p[i].Spilled
		if err := w.to.Unindex(p[i].ID, p[i].Serial); err != nil {
			return err
		}
	}
	first, end := p[0].Serial, p[len(p)-1].Serial+1
	for _, k := range [...]record.Kind{record.KindSpec, record.KindTerminal, record.KindDeferred} {
		if err := w.dropSerials(k, first, end); err != nil {
			return err
		}
	}
	if !spilled {
		return nil
	}
	w.key = record.AppendAttemptKey(w.key[:0], first, 0)
	w.end = record.AppendAttemptKey(w.end[:0], end, 0)
	return w.to.DeleteRange(w.key, w.end)
}

// dropSerials deletes the records of a kind from one serial up to another. Many are one range.
func (w *Writer) dropSerials(k record.Kind, s, end queue.Serial) error {
	if end-s >= manySerials {
		w.key = record.AppendSerialKey(w.key[:0], k, s)
		w.end = record.AppendSerialKey(w.end[:0], k, end)
		return w.to.DeleteRange(w.key, w.end)
	}
	for ; s < end; s++ {
		if err := w.dropSerial(k, s); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) events(b *queue.Batch, view func() (View, func() error, error)) (err error) {
	if len(b.Events) > 0 {
		first := b.Events[0].Sequence
		if w.val, err = record.AppendEvents(w.val[:0], b.Events); err != nil {
			return err
		}
		if last := first + int64(len(b.Events)) - 1; first < 1 || last != b.Head.Newest {
			return fmt.Errorf("keyed: events %d to %d in a batch whose newest is %d", first, last, b.Head.Newest)
		}
		if err := w.set(record.AppendEventsKey(w.key[:0], first)); err != nil {
			return err
		}
	}
	if b.PruneEventsTo <= 0 {
		return nil
	}
	keep, err := firstKept(b, view)
	if err != nil {
		return err
	}
	w.key = record.AppendKind(w.key[:0], record.KindEvents)
	w.end = record.AppendEventsKey(w.end[:0], keep)
	return w.to.DeleteRange(w.key, w.end)
}

// firstKept is the first sequence of the pack that holds the first event to be kept: packs
// are dropped whole or not at all.
func firstKept(b *queue.Batch, view func() (View, func() error, error)) (first int64, err error) {
	floor := b.PruneEventsTo + 1
	if floor > b.Head.Newest {
		return floor, nil
	}
	if len(b.Events) > 0 && b.Events[0].Sequence <= floor {
		return b.Events[0].Sequence, nil
	}
	v, done, err := view()
	if err != nil {
		return 0, err
	}
	defer func() { err = firstOf(err, done()) }()
	r := reader{v: v}
	it, err := r.iter(record.KindEvents)
	if err != nil {
		return 0, err
	}
	defer func() { err = firstOf(err, it.Close()) }()
	if !it.SeekLT(record.AppendEventsKey(nil, floor+1)) {
		return 0, it.Error() // nothing is as old as that
	}
	return record.FirstEvent(it.Key())
}
