package keyed

import (
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// walk goes down one range of serials. serial is 0 when it is over.
type walk struct {
	kind   record.Kind
	it     Iterator
	serial queue.Serial
	over   bool // going up: nothing is ahead
}

// down starts a walk at the highest serial below the given one, 0 for the very highest.
// An unwanted range is over at once.
func (r *reader) down(k record.Kind, below queue.Serial, wanted bool) (*walk, error) {
	w := &walk{kind: k}
	if !wanted {
		return w, nil
	}
	it, err := r.iter(k)
	if err != nil {
		return nil, err
	}
	w.it = it
	ok := false
	if below == 0 {
		ok = it.Last()
	} else {
		ok = it.SeekLT(record.AppendSerialKey(nil, k, below))
	}
	if err := w.stand(ok); err != nil {
		return nil, firstOf(err, it.Close())
	}
	return w, nil
}

func (w *walk) prev() error { return w.stand(w.it.Prev()) }

// stand notes where the last move has led.
func (w *walk) stand(ok bool) (err error) {
	w.serial = 0
	if !ok {
		return w.it.Error()
	}
	w.serial, err = record.SerialOf(w.it.Key())
	return err
}

func (w *walk) close() error {
	if w.it == nil {
		return nil
	}
	return w.it.Close()
}

func serialOf(t *ledger.Task) queue.Serial {
	if t.Live != nil {
		return t.Live.Serial
	}
	return t.Terminal.Serial
}

func misled(id string, s *queue.Spec) error {
	return fmt.Errorf("keyed: the index has serial %d for task %q, which is that of task %q: %w", s.Serial, id, s.ID, ledger.ErrCorrupt)
}

func orphan(s *queue.Spec) error {
	return fmt.Errorf("keyed: task %q, serial %d, has a spec but no record: %w", s.ID, s.Serial, ledger.ErrCorrupt)
}
