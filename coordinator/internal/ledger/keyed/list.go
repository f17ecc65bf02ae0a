package keyed

import (
	"context"
	"fmt"
	"slices"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// pageBytes ends a page that has read this much of records: results and payloads up to a
// megabyte lie beside what a filter looks at, and of attempts there is no end.
const pageBytes = 16 << 20

// List is ledger.Ledger's.
func List(ctx context.Context, v View, q ledger.Query) (ledger.Page, error) {
	l := lister{reader: reader{v: v, names: new(record.Names)}, ctx: ctx, q: &q}
	for _, s := range q.States {
		l.states |= 1 << s
	}
	if q.IDPrefix != "" {
		return l.byID()
	}
	return l.bySerial()
}

// lister makes one page.
type lister struct {
	reader
	ctx      context.Context
	q        *ledger.Query
	states   uint32 // one bit a state; 0: all
	page     ledger.Page
	examined int
}

// full tells whether the page must end with what it has.
func (l *lister) full() bool {
	return len(l.page.Tasks) >= max(l.q.Limit, 1) || l.examined >= max(l.q.Examine, 1) || l.bytes >= pageBytes
}

// wantsLive tells whether a task that is not terminal can match.
func (l *lister) wantsLive() bool {
	const live = 1<<queue.Blocked | 1<<queue.Scheduled | 1<<queue.Ready | 1<<queue.Running
	return l.q.FinishedAfter == 0 && (l.states == 0 || l.states&live != 0)
}

// wantsTerminal tells whether a terminal task can match.
func (l *lister) wantsTerminal() bool {
	const terminal = 1<<queue.Completed | 1<<queue.Failed | 1<<queue.Cancelled | 1<<queue.Expired | 1<<queue.Quarantined
	return l.states == 0 || l.states&terminal != 0
}

// matches judges all of a task but its labels, and makes READY what is so by now.
func (l *lister) matches(t *ledger.Task) bool {
	s, name := statusOf(t), ""
	if t.Live != nil {
		name = t.Live.Queue
		if s.State == queue.Scheduled && s.Ready <= l.q.Now {
			s.State, s.BackingOff = queue.Ready, false
		}
	} else {
		name = t.Terminal.Queue
	}
	return (l.q.Queue == "" || l.q.Queue == name) &&
		(l.states == 0 || l.states&(1<<s.State) != 0) &&
		(l.q.FinishedAfter == 0 || s.Finish > l.q.FinishedAfter)
}

// labelled tells whether the task has all labels of the query.
func (l *lister) labelled(s *queue.Spec) bool {
	for _, want := range l.q.Labels {
		if !slices.Contains(s.Labels, want) {
			return false
		}
	}
	return true
}

// add takes a task that matched; its spec has been read but for what is left to fill.
func (l *lister) add(t *ledger.Task) error {
	if l.q.History {
		if err := l.history(serialOf(t), t); err != nil {
			return err
		}
	}
	l.page.Tasks = append(l.page.Tasks, t)
	return nil
}

// bySerial walks live and terminal records side by side, newest first.
func (l *lister) bySerial() (page ledger.Page, err error) {
	below, err := serialPosition(l.q)
	if err != nil {
		return page, err
	}
	live, err := l.down(record.KindLive, below, l.wantsLive())
	if err != nil {
		return page, err
	}
	defer func() { err = firstOf(err, live.close()) }()
	ended, err := l.down(record.KindTerminal, below, l.wantsTerminal())
	if err != nil {
		return page, err
	}
	defer func() { err = firstOf(err, ended.close()) }()
	for live.serial != 0 || ended.serial != 0 {
		if l.full() {
			l.page.Cursor = serialCursor(l.q, below)
			return l.page, nil
		}
		if live.serial == ended.serial {
			return page, fmt.Errorf("keyed: task %d is both live and terminal: %w", live.serial, ledger.ErrCorrupt)
		}
		from := live
		if ended.serial > live.serial {
			from = ended
		}
		below = from.serial
		if err := l.examine(from); err != nil {
			return page, err
		}
		if err := from.prev(); err != nil {
			return page, err
		}
	}
	return l.page, l.ctx.Err()
}

// examine reads the record that w stands on and takes the task if it matches.
func (l *lister) examine(w *walk) error {
	if l.examined++; l.examined%loadCheck == 0 && l.ctx.Err() != nil {
		return l.ctx.Err()
	}
	val, err := w.it.ValueAndErr()
	if err != nil {
		return err
	}
	l.bytes += len(val)
	t := new(ledger.Task)
	if w.kind == record.KindLive {
		t.Live = new(queue.Live)
		err = record.DecodeLive(w.it.Key(), val, l.names, t.Live)
	} else {
		t.Terminal = new(queue.Terminal)
		err = record.DecodeTerminal(w.it.Key(), val, l.q.Result, l.names, t.Terminal)
	}
	if err != nil || !l.matches(t) {
		return err
	}
	if err := l.specOf(t, l.q.Payload); err != nil {
		return err
	}
	l.bytes += len(l.val)
	if !l.labelled(&t.Spec) {
		return nil
	}
	return l.add(t)
}

// byID walks the ids that have the prefix.
func (l *lister) byID() (page ledger.Page, err error) {
	last, err := position(l.q, cursorByID)
	if err != nil {
		return page, err
	}
	w, err := l.ids(l.q.IDPrefix, last)
	if err != nil {
		return page, err
	}
	defer func() { err = firstOf(err, w.close()) }()
	for {
		switch ok, err := w.next(); {
		case err != nil:
			return page, err
		case !ok:
			return l.page, l.ctx.Err()
		case l.full():
			l.page.Cursor = newCursor(l.q, cursorByID, last)
			return l.page, nil
		}
		last = append(last[:0:0], w.id...)
		if err := l.examineID(string(w.id), w.serials[0]); err != nil {
			return page, err
		}
	}
}

// examineID reads the task of an id and takes it if it matches.
func (l *lister) examineID(id string, serial queue.Serial) error {
	if l.examined++; l.examined%loadCheck == 0 && l.ctx.Err() != nil {
		return l.ctx.Err()
	}
	t := new(ledger.Task)
	ok, err := l.spec(serial, l.q.Payload, &t.Spec)
	if err != nil || !ok {
		return err
	}
	if t.Spec.ID != id {
		return misled(id, &t.Spec)
	}
	l.bytes += len(l.val)
	if l.q.Queue != "" && l.q.Queue != t.Spec.Queue || !l.labelled(&t.Spec) {
		return nil
	}
	ok, err = l.state(serial, l.q.Result, t)
	if err != nil {
		return err
	}
	if !ok {
		return orphan(&t.Spec)
	}
	l.bytes += len(l.val)
	if !l.matches(t) {
		return nil
	}
	return l.add(t)
}
