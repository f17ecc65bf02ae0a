package keyed

import (
	"context"
	"errors"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// indexedTo reads how far the index goes.
func (c *checker) indexedTo(key, value []byte) (err error) {
	if c.indexed, err = record.DecodeIndexed(key, value); err == nil && c.indexed > c.Head.NextSerial {
		err = wrong("the index goes to serial %d, but the next is %d", c.indexed, c.Head.NextSerial)
	}
	return err
}

// index holds an entry against the spec that it leads to. It may lead to none.
func (c *checker) index(key, value []byte) error {
	s, err := record.DecodeIndex(key, value)
	if err != nil {
		return err
	}
	_, id, err := record.IndexOf(key)
	if err != nil {
		return err
	}
	var spec queue.Spec
	switch ok, err := c.reader.spec(s, false, &spec); {
	case err != nil:
		return err
	case s >= c.Head.NextSerial:
		return wrong("the index has serial %d for task %q, but the next is %d", s, id, c.Head.NextSerial)
	case ok && spec.ID != string(id):
		return misled(string(id), &spec)
	}
	return nil
}

// twice looks for ids whose entries of several generations lead to specs.
func (c *checker) twice(ctx context.Context) (err error) {
	w, err := c.ids("", nil)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, w.close()) }()
	for n := 0; ; n++ {
		if n%loadCheck == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		ok, err := w.next()
		if errors.Is(err, ledger.ErrCorrupt) || errors.Is(err, ledger.ErrFormat) {
			return nil // index has told so
		}
		if err != nil || !ok {
			return err
		}
		if err := c.one(string(w.id), w.serials); err != nil {
			c.fault(err)
		}
	}
}

// one tells if more than one of the serials of an id has a spec.
func (c *checker) one(id string, serials []queue.Serial) error {
	if len(serials) == 1 {
		return nil
	}
	first := queue.Serial(0)
	for _, s := range serials {
		switch ok, err := c.reader.spec(s, false, new(queue.Spec)); {
		case err != nil:
			return err
		case ok && first != 0:
			return wrong("task %q has two specs, serials %d and %d", id, s, first)
		case ok:
			first = s
		}
	}
	return nil
}

// found holds the index against a spec that it must lead to, or may not have yet.
func (c *checker) found(spec *queue.Spec) error {
	s, ok, err := c.serialIn(record.GenerationOf(spec.Serial), spec.ID)
	switch {
	case err != nil || ok && s == spec.Serial:
		return err
	case spec.Serial < c.indexed:
		return wrong("task %q, serial %d, is not in the index", spec.ID, spec.Serial)
	}
	if s, ok, err = c.v.Serial(spec.ID); err != nil || !ok {
		return err
	}
	switch other, err := c.reader.spec(s, false, new(queue.Spec)); {
	case err != nil:
		return err
	case other:
		return wrong("task %q has two specs, serials %d and %d", spec.ID, s, spec.Serial)
	}
	return nil
}
