package keyed

import (
	"context"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// column is a walk over the records of one kind in the order of their serials.
type column struct {
	it     Iterator
	serial queue.Serial // that it stands on; 0: it is over
}

// columns are all that there may be of a task.
type columns struct{ specs, live, ended, attempts, deferred column }

func (w *columns) all() [5]*column {
	return [...]*column{&w.specs, &w.live, &w.ended, &w.attempts, &w.deferred}
}

// least is the serial of the next task, 0 after the last.
func (w *columns) least() (s queue.Serial) {
	for _, k := range w.all() {
		if s == 0 || k.serial != 0 && k.serial < s {
			s = k.serial
		}
	}
	return s
}

// tasks holds the records of tasks against each other, and the index against them. It walks all kinds side
// by side: looking up what belongs to a record costs many times as much as a step.
func (c *checker) tasks(ctx context.Context) (err error) {
	defer func() { c.some = err != nil }()
	w := new(columns)
	for i, k := range w.all() {
		kind := [...]record.Kind{record.KindSpec, record.KindLive, record.KindTerminal, record.KindAttempt, record.KindDeferred}[i]
		if k.it, err = c.iter(kind); err != nil {
			return err
		}
		defer func() { err = firstOf(err, k.it.Close()) }()
		if err := c.stand(k, k.it.First()); err != nil {
			return err
		}
	}
	x, err := c.entries()
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, x.it.Close()) }()
	for n := 0; ; n++ {
		if n%loadCheck == 0 {
			c.progress(c.Specs, max(c.Specs+1, c.total))
			if ctx.Err() != nil {
				return ctx.Err()
			}
		}
		s := w.least()
		if s == 0 {
			break
		}
		if !c.gen.of(s) {
			c.generation(x)
			c.gen.begin(s)
		}
		if err := c.task(s, w); err != nil {
			return err
		}
	}
	c.generation(x)
	c.rest(x)
	c.progress(c.Specs, c.Specs)
	return nil
}

// stand notes where a move has led. A key that cannot be read is told and passed over.
func (c *checker) stand(w *column, ok bool) error {
	for ; ok; ok = w.it.Next() {
		s, err := taskOf(w.it.Key())
		if err == nil {
			w.serial = s
			return nil
		}
		c.fault(err)
	}
	w.serial = 0
	return w.it.Error()
}

// taskOf is the serial in the key of anything that belongs to a task.
func taskOf(key []byte) (queue.Serial, error) {
	if record.KindOf(key) != record.KindAttempt {
		return record.SerialOf(key)
	}
	a, err := record.AttemptOf(key)
	if err == nil && a.Serial == 0 {
		err = wrong("attempt %d of serial 0", a.Number)
	}
	return a.Serial, err
}

// part says what was found of a part of a task.
type part int

const (
	none part = iota
	unreadable
	sound
)

// take decodes the record of a serial, if the walk stands on it, and moves on. The error is one of reading.
func (c *checker) take(w *column, s queue.Serial, decode func(key, value []byte) error) (part, error) {
	if w.serial != s {
		return none, nil
	}
	value, err := w.it.ValueAndErr()
	if err != nil {
		return unreadable, err
	}
	found := sound
	if err := decode(w.it.Key(), value); err != nil {
		c.fault(err)
		found = unreadable
	}
	return found, c.stand(w, w.it.Next())
}

// whole is what there is of a task but its attempts.
type whole struct {
	spec                      queue.Spec
	live                      queue.Live
	ended                     queue.Terminal
	hasSpec, isLive, hasEnded part
}

// task judges all that there is of a task.
func (c *checker) task(s queue.Serial, w *columns) error {
	t, err := c.whole(s, w)
	if err != nil {
		return err
	}
	c.judge(s, &t)
	may := t.live.Status.MayHaveAttempts() || t.ended.Status.MayHaveAttempts() || t.isLive == unreadable || t.hasEnded == unreadable
	if err := c.attempts(&w.attempts, s, t.isLive != none || t.hasEnded != none, may); err != nil {
		return err
	}
	return c.deferral(&w.deferred, s, t.hasEnded != none)
}

// whole reads the records of a task.
func (c *checker) whole(s queue.Serial, w *columns) (t whole, err error) {
	if t.hasSpec, err = c.take(&w.specs, s, func(key, value []byte) error {
		return record.DecodeSpec(key, value, false, c.names, &t.spec)
	}); err != nil {
		return t, err
	}
	if t.isLive, err = c.take(&w.live, s, func(key, value []byte) error {
		return record.DecodeLive(key, value, c.names, &t.live)
	}); err != nil {
		return t, err
	}
	t.hasEnded, err = c.take(&w.ended, s, func(key, value []byte) error {
		return record.DecodeTerminal(key, value, false, c.names, &t.ended)
	})
	return t, err
}

// judge counts the records of a task and holds them against each other.
func (c *checker) judge(s queue.Serial, t *whole) {
	if t.hasSpec == sound {
		c.Specs++
		c.gen.add(s, t.spec.ID)
	}
	if t.isLive == sound {
		c.Live++
		c.record(s, t, t.live.ID, t.live.Queue, t.live.Status.State)
	}
	if t.hasEnded == sound {
		c.Terminal++
		c.record(s, t, t.ended.ID, t.ended.Queue, t.ended.Status.State)
	}
	switch {
	case t.isLive != none && t.hasEnded != none:
		c.fault(wrong("task serial %d is both live and terminal", s))
	case t.isLive == none && t.hasEnded == none && t.hasSpec == sound:
		c.fault(orphan(&t.spec))
	}
}

// record holds a live or terminal record against the spec and the head, and counts it.
func (c *checker) record(s queue.Serial, t *whole, id, name string, state queue.State) {
	n := c.counts[name]
	if n == nil {
		n = new(queue.Counts)
		c.counts[name] = n
	}
	n.States[state]++
	switch {
	case s >= c.Head.NextSerial:
		c.fault(wrong("task %q has serial %d, but the next is %d", id, s, c.Head.NextSerial))
	case t.hasSpec == none:
		c.fault(wrong("task %q, serial %d, has a record but no spec", id, s))
	case t.hasSpec == sound && (t.spec.ID != id || t.spec.Queue != name):
		c.fault(wrong("task %q, serial %d, queue %q: its spec says task %q, queue %q", id, s, name, t.spec.ID, t.spec.Queue))
	}
}

// attempts judges the attempts that have records of their own.
func (c *checker) attempts(w *column, s queue.Serial, there, may bool) error {
	for {
		var a queue.Attempt
		switch found, err := c.take(w, s, func(key, value []byte) error {
			return record.DecodeAttempt(key, value, c.names, &a)
		}); {
		case err != nil:
			return err
		case found == none:
			return nil
		case found == unreadable:
			continue
		}
		c.Attempts++
		switch {
		case !there:
			c.fault(wrong("attempt %d of task serial %d, which is not there", a.Number, s))
		case !may:
			c.fault(wrong("attempt %d of task serial %d, which says that it has none stored", a.Number, s))
		}
	}
}

// deferral judges what says that a task waits for others to be pruned first.
func (c *checker) deferral(w *column, s queue.Serial, ended bool) error {
	found, err := c.take(w, s, func(key, value []byte) error {
		_, err := record.DecodeDeferred(key, value)
		return err
	})
	if err != nil || found != sound {
		return err
	}
	c.Deferred++
	if !ended {
		c.fault(wrong("task serial %d is deferred but not terminal", s))
	}
	return nil
}
