package keyed

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"

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

// specIDs are the ids of the specs of one generation, hashed, which is all that an index is held against.
type specIDs struct {
	seed     maphash.Seed
	begun    bool
	in       record.Generation
	hash     []uint64 // by the place of a serial in its generation; 0: no spec
	met      []bool   // an entry leads to it
	from, to int      // all are in between
}

func newSpecIDs() *specIDs {
	return &specIDs{seed: maphash.MakeSeed(), hash: make([]uint64, record.GenerationSize), met: make([]bool, record.GenerationSize)}
}

// of tells whether a serial is of the generation.
func (x *specIDs) of(s queue.Serial) bool { return x.begun && x.in == record.GenerationOf(s) }

// begin forgets all, for the generation of a serial.
func (x *specIDs) begin(s queue.Serial) {
	clear(x.hash[x.from:x.to])
	clear(x.met[x.from:x.to])
	x.begun, x.in, x.from, x.to = true, record.GenerationOf(s), place(s), place(s)
}

func place(s queue.Serial) int { return int(s % record.GenerationSize) }

// add takes a spec. They come in the order of their serials.
func (x *specIDs) add(s queue.Serial, id string) {
	x.hash[place(s)] = maphash.String(x.seed, id) | 1
	x.to = place(s) + 1
}

// entry is a walk over the index.
type entry struct {
	it Iterator
	ok bool // it stands on one
}

// entries begins a walk over the index.
func (c *checker) entries() (*entry, error) {
	it, err := c.iter(record.KindIndex)
	if err != nil {
		return nil, err
	}
	if c.gens, err = c.v.Generations(); err != nil {
		c.fault(err)
	}
	return &entry{it, it.First()}, nil
}

// generation holds the index up to the generation that is complete against it, and the other way round.
func (c *checker) generation(x *entry) {
	if !c.gen.begun {
		return
	}
	end := record.AppendGenerationEnd(nil, c.gen.in)
	for ; x.ok && bytes.Compare(x.it.Key(), end) < 0; x.ok = x.it.Next() {
		c.index(x.it)
	}
	if x.it.Error() != nil {
		return // rest tells; nothing can be said of what was not read
	}
	for i := c.gen.from; i < c.gen.to; i++ {
		if c.gen.hash[i] == 0 || c.gen.met[i] {
			continue
		}
		if err := c.unmet(queue.Serial(c.gen.in)*record.GenerationSize + queue.Serial(i)); err != nil {
			c.fault(err)
		}
	}
}

// rest reads the index behind the last spec.
func (c *checker) rest(x *entry) {
	for ; x.ok; x.ok = x.it.Next() {
		c.index(x.it)
	}
	if err := x.it.Error(); err != nil {
		c.fault(err)
	}
}

// index holds an entry against the spec that it leads to. It may lead to none.
func (c *checker) index(it Iterator) {
	value, err := it.ValueAndErr()
	if err != nil {
		c.fault(err)
		return
	}
	s, err := record.DecodeIndex(it.Key(), value)
	if err != nil {
		c.fault(err)
		return
	}
	_, id, err := record.IndexOf(it.Key())
	if err != nil {
		c.fault(err)
		return
	}
	if s >= c.Head.NextSerial {
		c.fault(wrong("the index has serial %d for task %q, but the next is %d", s, id, c.Head.NextSerial))
	}
	if !c.gen.of(s) {
		return
	}
	switch h := c.gen.hash[place(s)]; h {
	case 0:
	case maphash.Bytes(c.gen.seed, id) | 1:
		c.gen.met[place(s)] = true
	default:
		c.fault(wrong("the index has serial %d for task %q, which is that of another task", s, id))
	}
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
		switch ok, err := c.spec(s, false, new(queue.Spec)); {
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

// unmet judges a spec to which no entry of its generation leads: the index may not have it yet.
func (c *checker) unmet(at queue.Serial) error {
	var spec queue.Spec
	if ok, err := c.spec(at, false, &spec); err != nil || !ok {
		return err
	}
	if at < c.indexed {
		return wrong("task %q, serial %d, is not in the index", spec.ID, at)
	}
	other, err := c.other(spec.ID)
	if err == nil && other != 0 {
		err = wrong("task %q has two specs, serials %d and %d", spec.ID, other, at)
	}
	c.fresh[spec.ID] = at
	return err
}

// other looks for a spec of an id among those that the index may not have yet, which are few, and in each generation
// of the index; 0: there is none.
func (c *checker) other(id string) (queue.Serial, error) {
	if s := c.fresh[id]; s != 0 {
		return s, nil
	}
	for _, g := range c.gens {
		s, ok, err := c.serialIn(g, id)
		if err != nil {
			return 0, err
		}
		if !ok {
			continue
		}
		var spec queue.Spec
		if ok, err := c.spec(s, false, &spec); ok || err != nil {
			return s, err
		}
	}
	return 0, nil
}
