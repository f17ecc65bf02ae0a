package pebbleledger_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// keyOf is the key of the index under which an id has a serial.
func keyOf(id string, s queue.Serial) []byte {
	return record.AppendIndexKey(nil, record.GenerationOf(s), id)
}

func setLive(b *pebble.Batch, l *queue.Live) error {
	return b.Set(record.AppendSerialKey(nil, record.KindLive, l.Serial), record.AppendLive(nil, l), nil)
}

func setAttempt(b *pebble.Batch, s queue.Serial) error {
	a := queue.Attempt{Number: 1, Agent: "a"}
	return b.Set(record.AppendAttemptKey(nil, s, a.Number), record.AppendAttempt(nil, &a), nil)
}

// later writes tasks into three generations, from a serial on: 20, 15 and 10.
func later(b *pebble.Batch, m *ledgertest.Model, from queue.Serial) error {
	l := m.Live[anyLive(m)]
	q, h, spec := m.Queues[l.Queue], m.Head, m.Specs[l.Serial]
	l.Status.Spilled = false
	for g := range queue.Serial(3) {
		for i := range 20 - 5*g {
			l.Serial, l.ID = from+g<<20+i, fmt.Sprintf("late%d%06d", g, i)
			spec.ID = l.ID
			q.Counts.Submitted++
			q.Counts.States[l.Status.State]++
			if err := errors.Join(setLive(b, &l), setEntry(b, l.ID, l.Serial),
				b.Set(record.AppendSerialKey(nil, record.KindSpec, l.Serial), record.AppendSpec(nil, &spec), nil)); err != nil {
				return err
			}
		}
	}
	h.NextSerial = from + 5<<20
	return errors.Join(
		b.Set(record.AppendQueueKey(nil, q.Name), record.AppendQueue(nil, &q), nil),
		b.Set(record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, h.NextSerial), nil),
		b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil))
}

// again writes a spec and a record of an id, and the head behind it.
func again(b *pebble.Batch, m *ledgertest.Model, id string, s queue.Serial) error {
	some := anyLive(m)
	spec, l, h := m.Specs[some], m.Live[some], m.Head
	spec.ID, l.ID, l.Serial, h.NextSerial = id, id, s, s+1
	return errors.Join(setLive(b, &l),
		b.Set(record.AppendSerialKey(nil, record.KindSpec, s), record.AppendSpec(nil, &spec), nil),
		b.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &h), nil))
}

func setEntry(b *pebble.Batch, id string, s queue.Serial) error {
	return b.Set(keyOf(id, s), record.AppendIndex(nil, s), nil)
}

func anyLive(m *ledgertest.Model) (s queue.Serial) {
	for s = range m.Live {
		break
	}
	return s
}

// raw writes behind the ledger's back.
func raw(t *testing.T, path string, f func(*pebble.Batch) error) {
	t.Helper()
	db, err := pebble.Open(path, &pebble.Options{FormatMajorVersion: pebble.FormatNewest, Logger: silent{}})
	if err != nil {
		t.Fatal(err)
	}
	b := db.NewBatch()
	if err := f(b); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

type silent struct{}

func (silent) Infof(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) { panic("fatal") }
