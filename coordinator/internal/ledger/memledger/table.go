package memledger

import (
	"slices"
	"sort"
	"strings"

	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// table is the keys and values of one moment, by key. It never changes once it is made, so
// that a reader may keep it as long as it likes.
type table []entry

type entry struct {
	key   string
	value []byte
}

// find is the index of the first key that is not below key.
func (t table) find(key []byte) int {
	return sort.Search(len(t), func(i int) bool { return t[i].key >= string(key) })
}

// Get is keyed.View's.
func (t table) Get(key, to []byte) ([]byte, bool, error) {
	i := t.find(key)
	if i == len(t) || t[i].key != string(key) {
		return to, false, nil
	}
	return append(to, t[i].value...), true, nil
}

// Iter is keyed.View's.
func (t table) Iter(lower, upper []byte) (keyed.Iterator, error) {
	lo := t.find(lower)
	return &iterator{t: t[lo:max(lo, t.find(upper))], at: -1}, nil
}

// Generations is keyed.View's.
func (t table) Generations() ([]record.Generation, error) { return keyed.Generations(t) }

// Serial is keyed.View's.
func (t table) Serial(id string) (queue.Serial, bool, error) { return keyed.Find(t, id) }

// iterator stands at an index, -1 or the length beside the ends.
type iterator struct {
	t  table
	at int
}

func (i *iterator) move(to int) bool {
	i.at = min(max(to, -1), len(i.t))
	return i.at >= 0 && i.at < len(i.t)
}

func (i *iterator) First() bool                  { return i.move(0) }
func (i *iterator) Last() bool                   { return i.move(len(i.t) - 1) }
func (i *iterator) Next() bool                   { return i.move(i.at + 1) }
func (i *iterator) Prev() bool                   { return i.move(i.at - 1) }
func (i *iterator) SeekGE(key []byte) bool       { return i.move(i.t.find(key)) }
func (i *iterator) SeekLT(key []byte) bool       { return i.move(i.t.find(key) - 1) }
func (i *iterator) Key() []byte                  { return []byte(i.t[i.at].key) }
func (i *iterator) ValueAndErr() ([]byte, error) { return i.t[i.at].value, nil }
func (i *iterator) Error() error                 { return nil }
func (i *iterator) Close() error                 { return nil }

// change collects the writes of one batch; it is a keyed.Sink.
type change struct {
	points map[string][]byte // nil: delete
	ranges [][2]string
}

func newChange() *change { return &change{points: make(map[string][]byte)} }

func (c *change) Set(key, value []byte) error {
	c.points[string(key)] = append(make([]byte, 0, len(value)), value...)
	return nil
}

func (c *change) Delete(key []byte) error {
	c.points[string(key)] = nil
	return nil
}

func (c *change) DeleteRange(from, to []byte) error {
	for k := range c.points {
		if k >= string(from) && k < string(to) {
			c.points[k] = nil
		}
	}
	c.ranges = append(c.ranges, [2]string{string(from), string(to)})
	return nil
}

// Index is keyed.Sink's.
func (c *change) Index(id string, s queue.Serial) error {
	return c.Set(record.AppendIndexKey(nil, record.GenerationOf(s), id), record.AppendIndex(nil, s))
}

// Unindex is keyed.Sink's.
func (c *change) Unindex(id string, s queue.Serial) error {
	return c.Delete(record.AppendIndexKey(nil, record.GenerationOf(s), id))
}

// on gives the table after the change.
func (c *change) on(t table) table {
	puts := make(table, 0, len(c.points))
	for k, v := range c.points {
		if v != nil {
			puts = append(puts, entry{k, v})
		}
	}
	slices.SortFunc(puts, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	next := make(table, 0, len(t)+len(puts))
	for _, e := range t {
		for len(puts) > 0 && puts[0].key < e.key {
			next, puts = append(next, puts[0]), puts[1:]
		}
		if !c.covers(e.key) {
			next = append(next, e)
		}
	}
	return append(next, puts...)
}

// covers tells whether the change replaces or deletes a key.
func (c *change) covers(key string) bool {
	if _, ok := c.points[key]; ok {
		return true
	}
	for _, r := range c.ranges {
		if key >= r[0] && key < r[1] {
			return true
		}
	}
	return false
}
