package keyed

import (
	"bytes"
	"container/heap"

	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Generations finds which generations of the index hold any id, for a view that does not know. The
// newest comes first.
func Generations(v interface {
	Iter(lower, upper []byte) (Iterator, error)
}) (found []record.Generation, err error) {
	it, err := v.Iter(record.AppendKind(nil, record.KindIndex), record.AppendKindEnd(nil, record.KindIndex))
	if err != nil {
		return nil, err
	}
	defer func() { err = firstOf(err, it.Close()) }()
	for ok := it.Last(); ok; {
		g, _, err := record.IndexOf(it.Key())
		if err != nil {
			return nil, err
		}
		found = append(found, g)
		ok = it.SeekLT(record.AppendGeneration(nil, g))
	}
	return found, it.Error()
}

// Find looks an id up in the index. Of several generations that have it, the newest is right.
func Find(v View, id string) (queue.Serial, bool, error) {
	gs, err := v.Generations()
	if err != nil {
		return 0, false, err
	}
	r := reader{v: v}
	for _, g := range gs {
		if s, ok, err := r.serialIn(g, id); ok || err != nil {
			return s, ok, err
		}
	}
	return 0, false, nil
}

// serialIn looks an id up in one generation.
func (r *reader) serialIn(g record.Generation, id string) (queue.Serial, bool, error) {
	val, ok, err := r.get(record.AppendIndexKey(r.key[:0], g, id))
	if err != nil || !ok {
		return 0, false, err
	}
	s, err := record.DecodeIndex(r.key, val)
	return s, err == nil, err
}

// ids walks the ids that have a prefix in their order, through all generations side by side.
type ids struct {
	its     idHeap
	all     []Iterator
	id      []byte
	serials []queue.Serial // that the generations have for id, the newest first
}

// ids begins a walk behind an id; nil: at the first.
func (r *reader) ids(prefix string, after []byte) (w *ids, err error) {
	gs, err := r.v.Generations()
	if err != nil {
		return nil, err
	}
	w = new(ids)
	for _, g := range gs {
		it, err := r.v.Iter(record.AppendIndexKey(nil, g, prefix), record.AppendIndexEnd(nil, g, prefix))
		if err != nil {
			return nil, firstOf(err, w.close())
		}
		w.all = append(w.all, it)
		ok := false
		if after == nil {
			ok = it.First()
		} else {
			// The lowest key above an id is the id and a zero byte.
			ok = it.SeekGE(append(record.AppendIndexKey(nil, g, string(after)), 0))
		}
		if err := w.stand(it, ok); err != nil {
			return nil, firstOf(err, w.close())
		}
	}
	return w, nil
}

// stand takes an iterator that has moved.
func (w *ids) stand(it Iterator, ok bool) error {
	if !ok {
		return it.Error()
	}
	_, id, err := record.IndexOf(it.Key())
	if err == nil {
		heap.Push(&w.its, idAt{it, id})
	}
	return err
}

// next moves to the next id, and tells whether there is one.
func (w *ids) next() (bool, error) {
	if len(w.its) == 0 {
		return false, nil
	}
	w.id, w.serials = append(w.id[:0], w.its[0].id...), w.serials[:0]
	for len(w.its) > 0 && bytes.Equal(w.its[0].id, w.id) {
		it := heap.Pop(&w.its).(idAt).it
		val, err := it.ValueAndErr()
		if err != nil {
			return false, err
		}
		s, err := record.DecodeIndex(it.Key(), val)
		if err != nil {
			return false, err
		}
		w.serials = append(w.serials, s)
		if err := w.stand(it, it.Next()); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (w *ids) close() (err error) {
	for _, it := range w.all {
		err = firstOf(err, it.Close())
	}
	return err
}

// idAt is an iterator and the id that it stands on.
type idAt struct {
	it Iterator
	id []byte
}

// idHeap is a heap.Interface: the least id first, and of one id that with the newest generation.
type idHeap []idAt

func (h idHeap) Len() int { return len(h) }
func (h idHeap) Less(i, j int) bool {
	if c := bytes.Compare(h[i].id, h[j].id); c != 0 {
		return c < 0
	}
	return bytes.Compare(h[i].it.Key(), h[j].it.Key()) > 0
}
func (h idHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *idHeap) Push(x any)   { *h = append(*h, x.(idAt)) }
func (h *idHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
