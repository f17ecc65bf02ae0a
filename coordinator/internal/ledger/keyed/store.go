package keyed

import (
	"fmt"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// View is what a store held at one moment. One goroutine uses it.
type View interface {
	// Get appends the value under key to to, and says whether there is one.
	Get(key, to []byte) ([]byte, bool, error)
	// Iter walks the keys from lower up to but without upper. It stands nowhere at first.
	Iter(lower, upper []byte) (Iterator, error)
	// Generations are those of the index that hold any id, the newest first. It may name more.
	Generations() ([]record.Generation, error)
	// Serial looks an id up in the index: Find does so by Get, one generation after the other.
	Serial(id string) (queue.Serial, bool, error)
}

// Iterator walks keys in order. Key and value are good until it moves. Each move says
// whether it stands on a key; if not, Error says whether that is the end or a fault.
type Iterator interface {
	First() bool
	Last() bool
	Next() bool
	Prev() bool
	SeekGE(key []byte) bool
	SeekLT(key []byte) bool
	Key() []byte
	ValueAndErr() ([]byte, error)
	Error() error
	Close() error
}

// reader reads one view. Its buffers are reused: what get gives is good until the next get.
type reader struct {
	v     View
	names *record.Names
	key   []byte
	val   []byte
	bytes int // that a page has read
}

func (r *reader) get(key []byte) ([]byte, bool, error) {
	r.key = key
	val, ok, err := r.v.Get(key, r.val[:0])
	if val != nil {
		r.val = val
	}
	return val, ok, err
}

// iter walks all records of a kind.
func (r *reader) iter(k record.Kind) (Iterator, error) {
	return r.v.Iter(record.AppendKind(nil, k), record.AppendKindEnd(nil, k))
}

// spec reads the spec of a serial, if there is one.
func (r *reader) spec(s queue.Serial, payload bool, to *queue.Spec) (bool, error) {
	val, ok, err := r.get(record.AppendSerialKey(r.key[:0], record.KindSpec, s))
	if err != nil || !ok {
		return false, err
	}
	return true, record.DecodeSpec(r.key, val, payload, r.names, to)
}

// specOf reads the spec of a task whose state was read, which must have one.
func (r *reader) specOf(t *ledger.Task, payload bool) error {
	ok, err := r.spec(serialOf(t), payload, &t.Spec)
	if err != nil {
		return err
	}
	if !ok {
		return unspecified(t)
	}
	return sameTask(t)
}

func unspecified(t *ledger.Task) error {
	return fmt.Errorf("keyed: task %q, serial %d, has a record but no spec: %w", idOf(t), serialOf(t), ledger.ErrCorrupt)
}

func sameTask(t *ledger.Task) error {
	if t.Spec.ID != idOf(t) {
		return wrong("task %q, serial %d: its spec is that of task %q", idOf(t), serialOf(t), t.Spec.ID)
	}
	return nil
}

// state reads the live or the terminal record of a task into t; neither: false.
func (r *reader) state(s queue.Serial, result bool, t *ledger.Task) (bool, error) {
	val, ok, err := r.get(record.AppendSerialKey(r.key[:0], record.KindLive, s))
	if err != nil {
		return false, err
	}
	if ok {
		t.Live = new(queue.Live)
		return true, record.DecodeLive(r.key, val, r.names, t.Live)
	}
	val, ok, err = r.get(record.AppendSerialKey(r.key[:0], record.KindTerminal, s))
	if err != nil || !ok {
		return false, err
	}
	t.Terminal = new(queue.Terminal)
	return true, record.DecodeTerminal(r.key, val, result, r.names, t.Terminal)
}

// history reads the attempts of a task that have records of their own.
func (r *reader) history(s queue.Serial, t *ledger.Task) (err error) {
	if !statusOf(t).MayHaveAttempts() {
		return nil
	}
	it, err := r.v.Iter(record.AppendAttemptKey(nil, s, 0), record.AppendAttemptKey(nil, s+1, 0))
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, it.Close()) }()
	for ok := it.First(); ok; ok = it.Next() {
		val, err := it.ValueAndErr()
		if err != nil {
			return err
		}
		r.bytes += len(val)
		var a queue.Attempt
		if err := record.DecodeAttempt(it.Key(), val, r.names, &a); err != nil {
			return err
		}
		t.Attempts = append(t.Attempts, a)
	}
	return it.Error()
}

func statusOf(t *ledger.Task) *queue.Status {
	if t.Live != nil {
		return &t.Live.Status
	}
	return &t.Terminal.Status
}

func firstOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}
