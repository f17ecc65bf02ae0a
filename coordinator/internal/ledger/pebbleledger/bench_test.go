package pebbleledger_test

import (
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/ledgertest"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func disk(tb testing.TB, dir string) *pebbleledger.Ledger {
	l := pebbleledger.New(pebbleledger.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
	if _, err := l.Lead(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return l
}

// BenchmarkCommit runs task lives on a disk; bytes/life is what the folder has grown by.
func BenchmarkCommit(b *testing.B) {
	for _, size := range []int{1, 32, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			dir := b.TempDir()
			l := disk(b, dir)
			ledgertest.Bench(b, l, size)
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
			var bytes int64
			_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
				if i, err := d.Info(); err == nil && d.Type().IsRegular() {
					bytes += i.Size()
				}
				return err
			})
			b.ReportMetric(float64(bytes)/float64(b.N*size), "disk-bytes/life")
		})
	}
}

// BenchmarkGet looks up ids that are there and ids that are not, a thousand at a time.
func BenchmarkGet(b *testing.B) {
	l := disk(b, b.TempDir())
	m := ledgertest.NewMaker(1)
	var k ledger.Keys
	for range 150 {
		batch := m.Random(60)
		if wait, err := l.Commit(batch); err != nil {
			b.Fatal(err)
		} else if err := wait(); err != nil {
			b.Fatal(err)
		}
	}
	for _, s := range m.Model.Specs {
		k.IDs = append(k.IDs, s.ID)
	}
	for name, k := range map[string]ledger.Keys{
		"hit":     {IDs: k.IDs[:1000:1000], Payload: true},
		"miss":    {IDs: misses(1000)},
		"serials": {Serials: some(m, 1000)},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := l.Get(b.Context(), k); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*1000), "ns/key")
		})
	}
	_ = l.Close()
}

func misses(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("01K%023d", i)
	}
	return ids
}

func some(m *ledgertest.Maker, n int) (all []queue.Serial) {
	for s := range m.Model.Specs {
		if all = append(all, s); len(all) == n {
			break
		}
	}
	return all
}
