package pebbleledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// TestDisagreementsAreFound writes records that do not fit the others.
func TestDisagreementsAreFound(t *testing.T) {
	for name, c := range disagreements {
		path, m := aged(t)
		raw(t, path, func(b *pebble.Batch) error { return c.spoil(b, m.Model) })
		r, err := verify(t, path)
		found := false
		for _, f := range r.Faults {
			found = found || strings.Contains(f.Error(), c.want)
		}
		if !errors.Is(err, ledger.ErrCorrupt) || !found {
			t.Errorf("%s: error %v, faults %v, want one with %q", name, err, r.Faults, c.want)
		}
	}
}

// disagreements are the records that do not fit the others, and what is to be found of each.
var disagreements = map[string]struct {
	spoil func(b *pebble.Batch, m *ledgertest.Model) error
	want  string
}{
	"a record without spec": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		return b.Set(record.AppendSerialKey(nil, record.KindTerminal, 1), record.AppendTerminal(nil, &stranger), nil)
	}, "no spec"},
	"a spec without record": {func(b *pebble.Batch, m *ledgertest.Model) error {
		s := m.Specs[anyLive(m)]
		return b.Delete(record.AppendSerialKey(nil, record.KindLive, s.Serial), nil)
	}, "no record"},
	"live and terminal": {func(b *pebble.Batch, m *ledgertest.Model) error {
		d := stranger
		d.Serial = anyLive(m)
		d.ID = m.Specs[d.Serial].ID
		return b.Set(record.AppendSerialKey(nil, record.KindTerminal, d.Serial), record.AppendTerminal(nil, &d), nil)
	}, "both live and terminal"},
	"a wrong count": {func(b *pebble.Batch, m *ledgertest.Model) error {
		q := m.Queues["default"]
		q.Counts.States[queue.Ready]++
		return b.Set(record.AppendQueueKey(nil, q.Name), record.AppendQueue(nil, &q), nil)
	}, "counts"},
	"spend of no queue": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		p := queue.SpendRecord{Queue: "nowhere", By: queue.ByAgent, Name: "w", Spent: 1}
		return b.Set(record.AppendSpendKey(nil, &p), record.AppendSpend(nil, &p), nil)
	}, `spend of queue "nowhere"`},
	"more spent than in all": {func(b *pebble.Batch, m *ledgertest.Model) error {
		p := m.Spends[queue.SpendKey{Queue: "default", By: queue.ByQueue}]
		p.Spent--
		return b.Set(record.AppendSpendKey(nil, &p), record.AppendSpend(nil, &p), nil)
	}, "but its agents"},
	"spend that cannot be read": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		p := queue.SpendRecord{Queue: "default", By: queue.ByFairnessKey + 1}
		return b.Set(record.AppendSpendKey(nil, &p), record.AppendSpend(nil, &p), nil)
	}, "not the key of what was spent"},
	"an id of another's serial": {func(b *pebble.Batch, m *ledgertest.Model) error {
		s := anyLive(m)
		return b.Set(keyOf("stranger", s), record.AppendIndex(nil, s), nil)
	}, "has serial"},
	"an id that the index lacks": {func(b *pebble.Batch, m *ledgertest.Model) error {
		s := m.Specs[anyLive(m)]
		err := b.Delete(keyOf(s.ID, s.Serial), nil)
		return errors.Join(err, b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, m.Head.NextSerial), nil))
	}, "not in the index"},
	"no end of the index": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		return b.Delete(record.AppendKind(nil, record.KindIndexed), nil)
	}, "how far the index goes"},
	"two specs of an id": {func(b *pebble.Batch, m *ledgertest.Model) error {
		s := m.Specs[anyLive(m)]
		err := b.Set(record.AppendSerialKey(nil, record.KindSpec, m.Head.NextSerial), record.AppendSpec(nil, &s), nil)
		l := m.Live[s.Serial]
		l.Serial = m.Head.NextSerial
		return errors.Join(err, b.Set(record.AppendSerialKey(nil, record.KindLive, l.Serial), record.AppendLive(nil, &l), nil))
	}, "two specs"},
	"two specs of an id that the index has not yet": {func(b *pebble.Batch, m *ledgertest.Model) error {
		return errors.Join(again(b, m, "twin", m.Head.NextSerial), again(b, m, "twin", m.Head.NextSerial+1))
	}, "two specs"},
	"two specs of an id behind what a crash left": {func(b *pebble.Batch, m *ledgertest.Model) error {
		const later = 99 << 20
		id := m.Specs[anyLive(m)].ID
		return errors.Join(again(b, m, id, later+2), setEntry(b, id, later+1))
	}, "two specs"},
	"two specs of an id in two generations": {func(b *pebble.Batch, m *ledgertest.Model) error {
		s, h := m.Specs[anyLive(m)], m.Head
		again := h.NextSerial + 1<<20
		h.NextSerial = again + 1
		l := m.Live[s.Serial]
		l.Serial = again
		return errors.Join(
			b.Set(record.AppendSerialKey(nil, record.KindSpec, again), record.AppendSpec(nil, &s), nil),
			b.Set(record.AppendSerialKey(nil, record.KindLive, again), record.AppendLive(nil, &l), nil),
			b.Set(keyOf(s.ID, again), record.AppendIndex(nil, again), nil),
			b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, h.NextSerial), nil),
			b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil))
	}, "two specs"},
	"an entry of another generation": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		return b.Set(keyOf("astray", 1<<30), record.AppendIndex(nil, 1), nil)
	}, "another generation"},
	"an index from the future": {func(b *pebble.Batch, m *ledgertest.Model) error {
		return b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, m.Head.NextSerial+1), nil)
	}, "the index goes to serial"},
	"a serial from the future": {func(b *pebble.Batch, m *ledgertest.Model) error {
		h := m.Head
		h.NextSerial = 2
		return b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil)
	}, "the next is 2"},
	"a task from the future": {func(b *pebble.Batch, m *ledgertest.Model) error {
		h := m.Head
		h.NextSerial = 2
		return b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil)
	}, `" has serial `},
	"a gap in the events": {func(b *pebble.Batch, m *ledgertest.Model) error {
		h := m.Head
		h.Newest++
		return b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil)
	}, "events end at"},
	"an attempt of no task": {func(b *pebble.Batch, m *ledgertest.Model) error {
		return setAttempt(b, m.Head.NextSerial)
	}, "which is not there"},
	"an attempt that its task knows nothing of": {func(b *pebble.Batch, m *ledgertest.Model) error {
		l := m.Live[anyLive(m)]
		l.Status.Spilled = false
		return errors.Join(setLive(b, &l), setAttempt(b, l.Serial))
	}, "none stored"},
	"an attempt of serial 0": {func(b *pebble.Batch, _ *ledgertest.Model) error { return setAttempt(b, 0) }, "serial 0"},
	"a deferral of what has not ended": {func(b *pebble.Batch, m *ledgertest.Model) error {
		return b.Set(record.AppendSerialKey(nil, record.KindDeferred, anyLive(m)), record.AppendDeferred(nil), nil)
	}, "deferred but not terminal"},
	"a record of another task": {func(b *pebble.Batch, m *ledgertest.Model) error {
		l := m.Live[anyLive(m)]
		l.ID = "stranger"
		return setLive(b, &l)
	}, "its spec says"},
	"a record of another queue": {func(b *pebble.Batch, m *ledgertest.Model) error {
		l := m.Live[anyLive(m)]
		l.Queue = "elsewhere"
		return setLive(b, &l)
	}, "its spec says"},
	"tasks of no queue": {func(b *pebble.Batch, m *ledgertest.Model) error {
		return b.Delete(record.AppendQueueKey(nil, m.Live[anyLive(m)].Queue), nil)
	}, "has tasks but no record"},
	"a key that is cut off": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		return b.Set(record.AppendKind(nil, record.KindTerminal), nil, nil)
	}, "9 bytes"},
	"an unknown key": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		return b.Set([]byte("zzz"), []byte{1}, nil)
	}, "no known kind"},
	"rubbish": {func(b *pebble.Batch, m *ledgertest.Model) error {
		return b.Set(keyOf("rubbish", 1), []byte{1, 200}, nil)
	}, "rubbish"},
	"no head": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		return b.Delete(record.AppendKind(nil, record.KindHead), nil)
	}, "no head"},
	"no identity": {func(b *pebble.Batch, _ *ledgertest.Model) error {
		return b.Delete(record.AppendKind(nil, record.KindMeta), nil)
	}, "no identity"},
}

// stranger is the record of a task that nothing else is known of.
var stranger = queue.Terminal{Serial: 1, ID: "stranger", Queue: "default", Status: queue.Status{State: queue.Failed}}
