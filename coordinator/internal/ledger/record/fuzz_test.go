package record_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

// fuzz feeds a decoder with values for a good key. What it can read must be read the same
// after it was written again.
func fuzz(f *testing.F, kind record.Kind) {
	for _, p := range slices.Concat(samples(f), format1(f), written(f, "testdata/format-2.txt"), written(f, "testdata/format-3.txt")) {
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

// FuzzDecodeOldSpec reads what is only read, once.
func FuzzDecodeOldSpec(f *testing.F) {
	for _, p := range written(f, "testdata/format-2.txt") {
		if record.KindOf(p.key) == record.KindOldSpec {
			f.Add(p.key[1:], p.value)
		}
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		_, err := reencode(append([]byte{byte(record.KindOldSpec)}, key...), value)
		if err != nil && !errors.Is(err, ledger.ErrCorrupt) && !errors.Is(err, ledger.ErrFormat) {
			t.Fatalf("error %v", err)
		}
	})
}

func FuzzDecodeMeta(f *testing.F)     { fuzz(f, record.KindMeta) }
func FuzzDecodeHead(f *testing.F)     { fuzz(f, record.KindHead) }
func FuzzDecodeQueue(f *testing.F)    { fuzz(f, record.KindQueue) }
func FuzzDecodeSpend(f *testing.F)    { fuzz(f, record.KindSpend) }
func FuzzDecodeSpec(f *testing.F)     { fuzz(f, record.KindSpec) }
func FuzzDecodeIndex(f *testing.F)    { fuzz(f, record.KindIndex) }
func FuzzDecodeOldIndex(f *testing.F) { fuzz(f, record.KindOldIndex) }
func FuzzDecodeIndexed(f *testing.F)  { fuzz(f, record.KindIndexed) }
func FuzzDecodeLive(f *testing.F)     { fuzz(f, record.KindLive) }
func FuzzDecodeTerminal(f *testing.F) { fuzz(f, record.KindTerminal) }
func FuzzDecodeAttempt(f *testing.F)  { fuzz(f, record.KindAttempt) }
func FuzzDecodeDeferred(f *testing.F) { fuzz(f, record.KindDeferred) }
func FuzzDecodeEvents(f *testing.F)   { fuzz(f, record.KindEvents) }
