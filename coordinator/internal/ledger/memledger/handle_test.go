package memledger_test

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
)

var errDisk = errors.New("disk")

func led(t *testing.T) (*memledger.Ledger, *ledgertest.Maker) {
	l := memledger.New()
	if _, err := l.Lead(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l, ledgertest.NewMaker(1)
}

// batches is how many batches a ledger that nobody leads holds.
func batches(t *testing.T, l *memledger.Ledger) uint64 {
	if _, err := l.Lead(t.Context()); err != nil {
		t.Fatal(err)
	}
	m, err := ledgertest.Dump(t.Context(), l)
	if err != nil {
		t.Fatal(err)
	}
	return m.Head.Batch
}

func TestHeldBatchesAreSeenButNotDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := led(t)
		l.Hold()
		ended := make(chan int, 3)
		for i := range 3 {
			wait, err := l.Commit(m.Random(2))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				if err := wait(); err != nil {
					t.Errorf("wait %d: %v", i, err)
				}
				ended <- i
			}()
		}
		synctest.Wait()
		if len(ended) != 0 || l.Held() != 3 || l.Commits() != 3 || batches(t, l.Crash()) != 0 {
			t.Fatalf("%d waits ended, %d held, %d commits", len(ended), l.Held(), l.Commits())
		}
		l.ReleaseNext()
		synctest.Wait()
		if len(ended) != 1 || <-ended != 0 || batches(t, l.Crash()) != 1 {
			t.Fatal("not the first batch alone was released")
		}
		l.Release()
		synctest.Wait()
		if len(ended) != 2 || l.Held() != 0 || batches(t, l.Crash()) != 3 {
			t.Fatal("not all batches were released")
		}
	})
}

func TestAFailureIsFinal(t *testing.T) {
	for name, fail := range map[string]func(*memledger.Ledger){
		"commit": func(l *memledger.Ledger) { l.FailCommit(errDisk) },
		"wait":   func(l *memledger.Ledger) { l.FailWait(errDisk) },
	} {
		l, m := led(t)
		if wait, err := l.Commit(m.Random(2)); err != nil || wait() != nil {
			t.Fatalf("%s: before the failure: %v", name, err)
		}
		fail(l)
		for range 2 {
			wait, err := l.Commit(m.Random(2))
			if err == nil {
				err = wait()
			}
			if !errors.Is(err, errDisk) {
				t.Errorf("%s: error %v, want the failure", name, err)
			}
		}
		if n := batches(t, l.Crash()); n != 1 {
			t.Errorf("%s: %d batches are durable, want 1", name, n)
		}
	}
}

func TestAFailureEndsHeldWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, m := led(t)
		l.Hold()
		wait, err := l.Commit(m.Random(2))
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- wait() }()
		synctest.Wait()
		l.FailCommit(errDisk)
		if _, err := l.Commit(m.Random(2)); !errors.Is(err, errDisk) {
			t.Errorf("commit: error %v", err)
		}
		if err := <-ended; !errors.Is(err, errDisk) {
			t.Errorf("wait: error %v", err)
		}
	})
}
