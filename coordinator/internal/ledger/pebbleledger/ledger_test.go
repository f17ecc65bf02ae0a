package pebbleledger_test

import (
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"go.uber.org/goleak"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
)

const dir = "data/ledger"

// on gives a ledger, not led, in a file system of the memory.
func on(t *testing.T, fs vfs.FS) *pebbleledger.Ledger {
	return pebbleledger.New(pebbleledger.Options{
		Dir: dir, FS: fs, Logger: slog.New(slog.DiscardHandler), CacheBytes: 1 << 20,
		OnFatal: func(err error) { t.Logf("fatal: %v", err) },
	})
}

func TestLedger(t *testing.T) { suite(t, 0) }

// TestLedgerThatIndexesSoon writes the index of ids again and again, and fills its filters anew, beside all
// that goes on.
func TestLedgerThatIndexesSoon(t *testing.T) { suite(t, 3) }

// suite runs the suite; indexAt 0 is the usual one.
func suite(t *testing.T, indexAt int) {
	ours := goleak.IgnoreCurrent() // tests of failures leave a broken database behind
	t.Cleanup(func() { goleak.VerifyNone(t, ours) })
	on := func(t *testing.T, fs vfs.FS) *pebbleledger.Ledger {
		l := on(t, fs)
		if indexAt > 0 {
			l.IndexAt(indexAt)
			l.RefillAt(indexAt)
		}
		return l
	}
	ledgertest.Run(t, func(t *testing.T) ledgertest.Harness {
		fs := vfs.NewCrashableMem()
		same := func(t *testing.T) ledger.Ledger { return on(t, fs) }
		return ledgertest.Harness{
			Ledger: on(t, fs), Reopen: same, Rival: same,
			Crash: func(t *testing.T, unsynced int, seed uint64) ledger.Ledger {
				c := vfs.CrashCloneCfg{UnsyncedDataPercent: unsynced, RNG: rand.New(rand.NewPCG(seed, 2))}
				return on(t, fs.CrashClone(c))
			},
		}
	})
}
