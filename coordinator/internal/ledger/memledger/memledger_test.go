package memledger_test

import (
	"strings"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func TestLedger(t *testing.T) {
	ledgertest.Run(t, func(*testing.T) ledgertest.Harness {
		l := memledger.New()
		self := func(*testing.T) ledger.Ledger { return l }
		return ledgertest.Harness{
			Ledger: l, Reopen: self, Rival: self,
			Crash: func(*testing.T, int, uint64) ledger.Ledger { return l.Crash() },
		}
	})
}

// A page ends when it has read much, attempts too: a task may have had a hundred thousand.
func TestPageEndsAtManyAttempts(t *testing.T) {
	l, m := memledger.New(), ledgertest.NewMaker(1)
	must(t, second(l.Lead(t.Context())))
	m.Begin()
	for range 3 {
		m.Submit()
	}
	b := m.End()
	for i := range b.Live {
		b.Live[i].Status.Spilled = true
		for n := range int32(2500) {
			b.Attempts = append(b.Attempts, queue.AttemptRecord{Serial: b.Live[i].Serial, Attempt: queue.Attempt{
				Number: n + 1, Outcome: queue.OutcomeFailed, Failure: queue.Failure{Message: strings.Repeat("m", 4<<10)},
			}})
		}
	}
	must(t, second(l.Commit(b)))
	page, err := l.List(t.Context(), ledger.Query{Limit: 100, Examine: 100, History: true})
	must(t, err)
	if len(page.Tasks) != 2 || page.Cursor == nil {
		t.Errorf("a page of %d tasks", len(page.Tasks))
	}
}

func second[T any](_ T, err error) error { return err }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
