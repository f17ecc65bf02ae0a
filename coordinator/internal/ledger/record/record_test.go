package record_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

type pair struct{ key, value []byte }

// sink collects what a batch is written as.
type sink []pair

func (s *sink) Set(k, v []byte) error {
	*s = append(*s, pair{bytes.Clone(k), bytes.Clone(v)})
	return nil
}
func (s *sink) Index(id string, n queue.Serial) error {
	return s.Set(record.AppendIndexKey(nil, record.GenerationOf(n), id), record.AppendIndex(nil, n))
}
func (s *sink) Unindex(string, queue.Serial) error { return nil }
func (s *sink) Delete([]byte) error                { return nil }
func (s *sink) DeleteRange([]byte, []byte) error   { return nil }

// samples are records of every kind, unusual and usual ones.
func samples(tb testing.TB) []pair {
	var s sink
	var w keyed.Writer
	m := ledgertest.NewMaker(1)
	m.Payload, m.Result = 10, 10
	for _, b := range []*queue.Batch{ledgertest.FullBatch(), m.Random(3), m.Random(3), m.Random(3)} {
		b.PruneEventsTo = 0
		if err := w.Write(b, &s, nil); err != nil {
			tb.Fatal(err)
		}
	}
	id := ledger.Identity{ID: "01JXYZ", Secret: [32]byte{1, 31: 2}}
	return append(s,
		pair{record.AppendKind(nil, record.KindMeta), record.AppendMeta(nil, &id)},
		pair{record.AppendKind(nil, record.KindIndexed), record.AppendIndexed(nil, 1<<40)})
}

// reencode decodes a record and encodes what was read.
func reencode(key, value []byte) ([]byte, error) {
	switch record.KindOf(key) {
	case record.KindMeta:
		v, err := record.DecodeMeta(key, value)
		return record.AppendMeta(nil, &v), err
	case record.KindHead:
		var v queue.Head
		err := record.DecodeHead(key, value, &v)
		return record.AppendHead(nil, &v), err
	case record.KindQueue:
		var v queue.QueueRecord
		err := record.DecodeQueue(key, value, &v)
		return record.AppendQueue(nil, &v), err
	case record.KindSpend:
		var v queue.SpendRecord
		err := record.DecodeSpend(key, value, new(record.Names), &v)
		return record.AppendSpend(nil, &v), err
	case record.KindSpec:
		var v queue.Spec
		err := record.DecodeSpec(key, value, true, new(record.Names), &v)
		return record.AppendSpec(nil, &v), err
	case record.KindOldSpec:
		var v queue.Spec
		err := record.DecodeOldSpec(key, value, &v)
		return record.AppendSpec(nil, &v), err
	case record.KindIndex:
		v, err := record.DecodeIndex(key, value)
		return record.AppendIndex(nil, v), err
	case record.KindOldIndex:
		v, err := record.DecodeOldIndex(key, value)
		return record.AppendIndex(nil, v), err
	case record.KindIndexed:
		v, err := record.DecodeIndexed(key, value)
		return record.AppendIndexed(nil, v), err
	case record.KindLive:
		v := queue.Live{Parents: []queue.Serial{9, 9}, Requires: []queue.Requirement{{Key: "old"}}, Grant: queue.Grant{Agent: "old"}}
		err := record.DecodeLive(key, value, new(record.Names), &v)
		return record.AppendLive(nil, &v), err
	case record.KindTerminal:
		var v queue.Terminal
		err := record.DecodeTerminal(key, value, true, new(record.Names), &v)
		return record.AppendTerminal(nil, &v), err
	case record.KindAttempt:
		var v queue.Attempt
		err := record.DecodeAttempt(key, value, new(record.Names), &v)
		return record.AppendAttempt(nil, &v), err
	case record.KindDeferred:
		_, err := record.DecodeDeferred(key, value)
		return record.AppendDeferred(nil), err
	case record.KindEvents:
		vs, err := record.DecodeEvents(key, value, new(record.Names), nil)
		if err != nil {
			return nil, err
		}
		return record.AppendEvents(nil, vs)
	}
	return nil, fmt.Errorf("no such kind: %w", ledger.ErrCorrupt)
}

func TestRecordsComeBackAsTheyWere(t *testing.T) {
	kinds := make(map[record.Kind]bool)
	for _, p := range samples(t) {
		kinds[record.KindOf(p.key)] = true
		got, err := reencode(p.key, p.value)
		if err != nil || !bytes.Equal(got, p.value) {
			t.Errorf("%q: %x, error %v, want %x", p.key, got, err, p.value)
		}
		if err := keyed.Decode(p.key, p.value); err != nil {
			t.Errorf("%q: %v", p.key, err)
		}
	}
	if len(kinds) != 12 {
		t.Errorf("samples of %d kinds, want 12", len(kinds))
	}
}

// TestDamageIsAnError cuts and lengthens each record, and sets its version.
func TestDamageIsAnError(t *testing.T) {
	for _, p := range samples(t) {
		for n := range p.value {
			if _, err := reencode(p.key, p.value[:n]); !errors.Is(err, ledger.ErrCorrupt) {
				t.Fatalf("%q cut at %d of %d: error %v, want ErrCorrupt", p.key, n, len(p.value), err)
			}
		}
		if _, err := reencode(p.key, append(bytes.Clone(p.value), 0)); !errors.Is(err, ledger.ErrCorrupt) {
			t.Errorf("%q with a byte more: error %v, want ErrCorrupt", p.key, err)
		}
		newer := append([]byte{2}, p.value[1:]...)
		if _, err := reencode(p.key, newer); !errors.Is(err, ledger.ErrFormat) || !strings.Contains(err.Error(), fmt.Sprintf("%q", p.key)) {
			t.Errorf("%q of a newer version: error %v, want ErrFormat with the key", p.key, err)
		}
	}
}

func TestUsualRecordsAreShort(t *testing.T) {
	m := ledgertest.NewMaker(3)
	var s sink
	if err := new(keyed.Writer).Write(m.Random(1), &s, nil); err != nil {
		t.Fatal(err)
	}
	for _, p := range s {
		if record.KindOf(p.key) == record.KindLive && len(p.value) > 60 {
			t.Errorf("a live record has %d bytes", len(p.value))
		}
	}
}

// TestUsualMoneyIsShort shows what a life pays for money where nothing is set: nothing in the
// record of an attempt that settled at the usual reservation or at what it stated, and a byte in
// the event that tells it.
func TestUsualMoneyIsShort(t *testing.T) {
	const usual = 100_000
	size := func(a queue.Attempt) int { return len(record.AppendAttempt(nil, &a)) }
	bare := queue.Attempt{Number: 1, Run: 1, Agent: "w", Reported: true, Settled: true, Reserved: usual}
	all, stated := bare, bare
	all.Spent = usual
	stated.Cost, stated.Spent, stated.HasCost = 63, 63, true
	if b, a, s := size(bare), size(all), size(stated); a != b || s != b+1 {
		t.Errorf("an attempt has %d bytes, with the reservation spent %d, with its stated cost %d", b, a, s)
	}
	told := []queue.Event{{Sequence: 1, Kind: queue.EventCompleted}, {Sequence: 2, Kind: queue.EventCompleted}}
	before, _ := record.AppendEvents(nil, told)
	for i := range told {
		told[i].Cost, told[i].HasCost = usual, true
	}
	after, err := record.AppendEvents(nil, told)
	if err != nil || len(after) > len(before)+len(told) {
		t.Errorf("%d events have %d bytes, with their cost %d, error %v", len(told), len(before), len(after), err)
	}
}

func TestKeysSortAsWhatTheyName(t *testing.T) {
	serials := []queue.Serial{1, 2, 255, 256, 1 << 40, ^queue.Serial(0)}
	for i := range serials[1:] {
		for _, k := range []record.Kind{record.KindSpec, record.KindLive, record.KindTerminal, record.KindDeferred} {
			a, b := record.AppendSerialKey(nil, k, serials[i]), record.AppendSerialKey(nil, k, serials[i+1])
			if bytes.Compare(a, b) >= 0 || bytes.Compare(b, record.AppendKindEnd(nil, k)) >= 0 {
				t.Errorf("keys of kind %c, serials %d and %d are out of order", k, serials[i], serials[i+1])
			}
		}
		a := record.AppendAttemptKey(nil, serials[i], 1<<30)
		if bytes.Compare(a, record.AppendAttemptKey(nil, serials[i+1], 0)) >= 0 {
			t.Errorf("attempts of %d reach into %d", serials[i], serials[i+1])
		}
	}
}

// TestIndexKeysSortByGenerationAndID: of two generations no keys lie between each other, and those of a
// prefix end where the next begins.
func TestIndexKeysSortByGenerationAndID(t *testing.T) {
	const last = ^record.Generation(0)
	gens := []record.Generation{0, 1, 0xff, 0x100, last - 1, last}
	for i, g := range gens {
		from, to := record.AppendGeneration(nil, g), record.AppendGenerationEnd(nil, g)
		key := record.AppendIndexKey(nil, g, "\xff\xff")
		if bytes.Compare(from, key) >= 0 || bytes.Compare(key, to) >= 0 {
			t.Errorf("%x is not from %x to %x", key, from, to)
		}
		if i > 0 && bytes.Compare(record.AppendGenerationEnd(nil, gens[i-1]), from) > 0 {
			t.Errorf("generation %d reaches into %d", gens[i-1], g)
		}
		for _, key := range [][]byte{from, key, key[:1], key[:3]} {
			full := append(bytes.Clone(key), 0, 0, 0, 0)[:max(len(key), len(from))]
			if end := record.GenerationEnd(key); bytes.Compare(full, end) >= 0 || len(key) >= len(from) && !bytes.Equal(end, to) {
				t.Errorf("the generation of %x ends at %x", key, end)
			}
		}
		for prefix, want := range map[string]string{"ab": string(from) + "ac", "a\xff": string(from) + "b", "\xff\xff": string(to), "": string(to)} {
			if got := record.AppendIndexEnd(nil, g, prefix); string(got) != want {
				t.Errorf("ids of generation %d with prefix %q end at %q, want %q", g, prefix, got, want)
			}
		}
	}
	if a, b := record.GenerationOf(1<<20-1), record.GenerationOf(1<<20); a != 0 || b != 1 {
		t.Errorf("generations %d and %d, want 0 and 1", a, b)
	}
}

// TestAnEntryOfTheWrongGenerationIsDamaged: it would never be found.
func TestAnEntryOfTheWrongGenerationIsDamaged(t *testing.T) {
	if _, err := record.DecodeIndex(record.AppendIndexKey(nil, 1, "a"), record.AppendIndex(nil, 1)); !errors.Is(err, ledger.ErrCorrupt) {
		t.Errorf("error %v, want ErrCorrupt", err)
	}
}

func TestNamesAreShared(t *testing.T) {
	p := samples(t)
	var names record.Names
	var a, b queue.Live
	for _, s := range p {
		if record.KindOf(s.key) == record.KindLive {
			if err := record.DecodeLive(s.key, s.value, &names, &a); err != nil {
				t.Fatal(err)
			}
			n := testing.AllocsPerRun(100, func() { _ = record.DecodeLive(s.key, s.value, &names, &a) })
			if n > float64(2+len(a.Requires)) { // the id, a request id, values of requirements
				t.Errorf("a live record read again costs %v allocations", n)
			}
			if err := record.DecodeLive(s.key, s.value, nil, &b); err != nil || !reflect.DeepEqual(a, b) {
				t.Errorf("with names %+v, without %+v", a, b)
			}
		}
	}
}
