package record_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
)

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
