package record_test

import (
	"bytes"
	"encoding/binary"
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

var update = flag.Bool("update", false, "rewrite testdata/format-4.txt")

func TestMetaOfANewerFormat(t *testing.T) {
	key := record.AppendKind(nil, record.KindMeta)
	value := record.AppendMeta(nil, &ledger.Identity{ID: "x"})
	value[1] = record.Format + 1
	if _, err := record.DecodeMeta(key, value); !errors.Is(err, ledger.ErrFormat) {
		t.Errorf("error %v, want ErrFormat", err)
	}
}

// TestFormatIsKept compares with what format 4 has always looked like.
func TestFormatIsKept(t *testing.T) {
	var b strings.Builder
	for _, p := range samples(t) {
		fmt.Fprintf(&b, "%s %s\n", hex.EncodeToString(p.key), hex.EncodeToString(p.value))
	}
	const path = "testdata/format-4.txt"
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
func format1(tb testing.TB) []pair { return written(tb, "testdata/format-1.txt") }

// written reads records that an older version wrote.
func written(tb testing.TB, path string) (all []pair) {
	tb.Helper()
	text, err := os.ReadFile(path)
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
		case record.KindOldSpec:
			err = record.DecodeOldSpec(p.key, p.value, &s)
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

// TestOlderFormatsAreRead shows that what older formats wrote is read, and says nothing that it did
// not: it is written again as it was, but for the number of the format and the place of a spec.
func TestOlderFormatsAreRead(t *testing.T) {
	for path, want := range map[string]int{"testdata/format-1.txt": 9, "testdata/format-2.txt": 10, "testdata/format-3.txt": 12} {
		kinds := make(map[record.Kind]bool)
		for _, p := range written(t, path) {
			kinds[record.KindOf(p.key)] = true
			want := bytes.Clone(p.value)
			switch record.KindOf(p.key) {
			case record.KindMeta:
				want[1] = record.Format
			case record.KindOldSpec:
				want = moved(p)
			}
			got, err := reencode(p.key, p.value)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s, %q: %x, error %v, want %x", path, p.key, got, err, want)
			}
		}
		if len(kinds) != want {
			t.Errorf("%s: samples of %d kinds, want %d", path, len(kinds), want)
		}
	}
}

// moved is the value of an old spec as it is written now: its id where its serial was.
func moved(p pair) []byte {
	_, n := binary.Uvarint(p.value[1:])
	b := append(bytes.Clone(p.value[:1]), byte(len(p.key)-1))
	return append(append(b, p.key[1:]...), p.value[1+n:]...)
}
