package transfer

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// FuzzParse: whatever a file holds, reading it ends, without a panic, in faults with a place or
// in tasks that the engine takes.
func FuzzParse(f *testing.F) {
	seeds, err := filepath.Glob("testdata/*/*.json*")
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range seeds {
		b, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b), strings.HasSuffix(s, "l"))
	}
	f.Add(`{"id":"a","state":"EXPIRED","status":"failed","stint":{"expireTime":"2026-01-01T00:00:00Z","status":{"failure":{"failureClass":99}}}}`, true)
	a := admission(f)
	f.Fuzz(func(t *testing.T, text string, lines bool) {
		name := "f.json"
		if lines {
			name = "f.jsonl"
		}
		r := newReading()
		r.source(name, strings.NewReader(text))
		p := r.plan(a, noon)
		if err := p.Check(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if !lines && !json.Valid([]byte(text)) && p.Err() == nil && !strings.HasPrefix(text, string(byteOrderMark)) {
			t.Error("taken, and it is not JSON")
		}
		var faults *Faults
		if errors.As(p.Err(), &faults) {
			for _, n := range faults.List {
				if n.At.File != name || n.At.Line < 0 || n.At.Line > 1+strings.Count(text, "\n") {
					t.Errorf("fault at %v", n)
				}
			}
			return
		}
		if len(p.tasks) == 0 || len(p.tasks) > 100 {
			return
		}
		err := p.Write(t.Context(), memledger.New(), quiet)
		var refused *queue.Error
		if errors.As(err, &refused) && refused.Reason == queue.FieldInvalid && strings.HasSuffix(refused.Field, "expire_time") {
			return // the engine's clock is later than the plan's
		}
		if err != nil {
			t.Error(err)
		}
	})
}
