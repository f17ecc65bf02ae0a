package record_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

var update = flag.Bool("update", false, "rewrite testdata/format-2.txt")

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

// TestFormat1SaysTheUsual shows what tasks and queues of format 1 have of what it did not know: the
// reservation that the contract has always named, and no limit, key or settings.
func TestFormat1SaysTheUsual(t *testing.T) {
	const reservation queue.Micros = 100_000
	for _, p := range format1(t) {
		var s queue.Spec
		var l queue.Live
		var q queue.QueueRecord
		var err error
		wrong := false
		switch record.KindOf(p.key) {
		case record.KindSpec:
			err = record.DecodeSpec(p.key, p.value, false, nil, &s)
			wrong = s.MaxCost != reservation || s.FairnessKey+s.ConcurrencyKey != ""
		case record.KindLive:
			err = record.DecodeLive(p.key, p.value, nil, &l)
			wrong = l.MaxCost != reservation || l.FairnessKey+l.ConcurrencyKey != "" || l.Status.Spent != 0
		case record.KindQueue:
			err = record.DecodeQueue(p.key, p.value, &q)
			wrong = q.Settings != queue.Settings{Weight: 1} || q.Version != 1 || q.Spend != queue.PeriodSpend{}
		}
		if err != nil || wrong {
			t.Errorf("%q: %+v, %+v, %+v, error %v", p.key, s, l, q, err)
		}
	}
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
