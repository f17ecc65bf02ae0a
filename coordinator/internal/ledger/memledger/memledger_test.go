package memledger_test

import (
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
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
