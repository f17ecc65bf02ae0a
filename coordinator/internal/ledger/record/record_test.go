package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

var update = flag.Bool("update", false, "rewrite testdata/format-2.txt")

type pair struct{ key, value []byte }

// sink collects what a batch is written as.
type sink []pair

func (s *sink) Set(k, v []byte) error {
	*s = append(*s, pair{bytes.Clone(k), bytes.Clone(v)})
	return nil
}
func (s *sink) Delete([]byte) error              { return nil }
func (s *sink) DeleteRange([]byte, []byte) error { return nil }

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
	return append(s, pair{record.AppendKind(nil, record.KindMeta), record.AppendMeta(nil, &id)})
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
	if len(kinds) != 10 {
		t.Errorf("samples of %d kinds, want 10", len(kinds))
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

func TestMetaOfANewerFormat(t *testing.T) {
	key := record.AppendKind(nil, record.KindMeta)
	value := record.AppendMeta(nil, &ledger.Identity{ID: "x"})
	value[1] = record.Format + 1
	if _, err := record.DecodeMeta(key, value); !errors.Is(err, ledger.ErrFormat) {
		t.Errorf("error %v, want ErrFormat", err)
	}
}

// TestFormatIsKept compares with what format 2 has always looked like.
func TestFormatIsKept(t *testing.T) {
	var b strings.Builder
	for _, p := range samples(t) {
		fmt.Fprintf(&b, "%s %s\n", hex.EncodeToString(p.key), hex.EncodeToString(p.value))
	}
	const path = "testdata/format-2.txt"
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Error("records are spelled differently now: ledgers written before could not be read. Raise Format, or run with -update if only the samples have changed")
	}
}

// format1 are records as format 1 wrote them, before there were limits and money.
func format1(tb testing.TB) (all []pair) {
	tb.Helper()
	text, err := os.ReadFile("testdata/format-1.txt")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var p pair
		if _, err := fmt.Sscanf(line, "%x %x", &p.key, &p.value); err != nil {
			tb.Fatalf("%q: %v", line, err)
		}
		all = append(all, p)
	}
	return all
}

// TestFormat1IsRead shows that what format 1 wrote is read, and says nothing that it did not: it
// is written again as it was, but for the number of the format.
func TestFormat1IsRead(t *testing.T) {
	kinds := make(map[record.Kind]bool)
	for _, p := range format1(t) {
		kinds[record.KindOf(p.key)] = true
		want := p.value
		if record.KindOf(p.key) == record.KindMeta {
			want = bytes.Clone(want)
			want[1] = record.Format
		}
		got, err := reencode(p.key, p.value)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%q: %x, error %v, want %x", p.key, got, err, want)
		}
	}
	if len(kinds) != 9 {
		t.Errorf("samples of %d kinds, want 9", len(kinds))
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

func TestKeysSortAsWhatTheyName(t *testing.T) {
	serials := []queue.Serial{1, 2, 255, 256, 1 << 40, ^queue.Serial(0)}
	for i := range serials[1:] {
		for _, k := range []record.Kind{record.KindLive, record.KindTerminal, record.KindDeferred} {
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
	for prefix, end := range map[string]string{"ab": "sac", "a\xff": "sb", "\xff\xff": "t", "": "t"} {
		if got := record.AppendSpecEnd(nil, prefix); string(got) != end {
			t.Errorf("specs with prefix %q end at %q, want %q", prefix, got, end)
		}
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

// fuzz feeds a decoder with values for a good key. What it can read must be read the same
// after it was written again.
func fuzz(f *testing.F, kind record.Kind) {
	for _, p := range append(samples(f), format1(f)...) {
		if record.KindOf(p.key) == kind {
			f.Add(p.key[1:], p.value)
		}
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		key = append([]byte{byte(kind)}, key...)
		again, err := reencode(key, value)
		if err != nil {
			if !errors.Is(err, ledger.ErrCorrupt) && !errors.Is(err, ledger.ErrFormat) {
				t.Fatalf("error %v", err)
			}
			return
		}
		third, err := reencode(key, again)
		if err != nil || !bytes.Equal(again, third) {
			t.Fatalf("%x is read, written as %x, then as %x, error %v", value, again, third, err)
		}
	})
}

func FuzzDecodeMeta(f *testing.F)     { fuzz(f, record.KindMeta) }
func FuzzDecodeHead(f *testing.F)     { fuzz(f, record.KindHead) }
func FuzzDecodeQueue(f *testing.F)    { fuzz(f, record.KindQueue) }
func FuzzDecodeSpend(f *testing.F)    { fuzz(f, record.KindSpend) }
func FuzzDecodeSpec(f *testing.F)     { fuzz(f, record.KindSpec) }
func FuzzDecodeLive(f *testing.F)     { fuzz(f, record.KindLive) }
func FuzzDecodeTerminal(f *testing.F) { fuzz(f, record.KindTerminal) }
func FuzzDecodeAttempt(f *testing.F)  { fuzz(f, record.KindAttempt) }
func FuzzDecodeDeferred(f *testing.F) { fuzz(f, record.KindDeferred) }
func FuzzDecodeEvents(f *testing.F)   { fuzz(f, record.KindEvents) }
