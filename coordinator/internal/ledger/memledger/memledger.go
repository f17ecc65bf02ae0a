package memledger

import (
	"context"
	"crypto/rand"
	"fmt"
	"math"
	"sync"

	"github.com/oklog/ulid/v2"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/keyed"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Ledger is a ledger.Ledger in memory. All methods may be called from any number of
// goroutines. After Close, Lead takes it up again with what it holds.
type Ledger struct {
	mu      sync.Mutex
	changed sync.Cond // of open and failed
	led     bool
	now     table // as readers see it
	durable table // as of the newest durable batch
	writer  keyed.Writer
	held    []table // tables after the batches that are not durable, oldest first
	commits int     // batches applied
	open    int     // batches that may be durable: all up to this one
	failed  error
	fail    struct{ commit, wait error } // of the next one
}

var _ ledger.Ledger = (*Ledger)(nil)

// New gives an empty ledger with an identity of its own.
func New() *Ledger {
	id := ledger.Identity{ID: ulid.Make().String()}
	_, _ = rand.Read(id.Secret[:]) // never fails: crypto/rand ends the program instead
	head := record.FirstHead()
	c := newChange()
	_ = c.Set(record.AppendKind(nil, record.KindMeta), record.AppendMeta(nil, &id))
	_ = c.Set(record.AppendKind(nil, record.KindHead), record.AppendHead(nil, &head))
	return with(c.on(nil))
}

func with(t table) *Ledger {
	l := &Ledger{now: t, durable: t, open: math.MaxInt}
	l.changed.L = &l.mu
	return l
}

// Lead is ledger.Ledger's.
func (l *Ledger) Lead(ctx context.Context) (ledger.Identity, error) {
	if err := ctx.Err(); err != nil {
		return ledger.Identity{}, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.led {
		return ledger.Identity{}, fmt.Errorf("memledger: lead: %w", ledger.ErrLocked)
	}
	key := record.AppendKind(nil, record.KindMeta)
	value, _, _ := l.now.Get(key, nil)
	id, err := record.DecodeMeta(key, value)
	l.led = err == nil
	return id, err
}

// view is what the ledger holds now, for a reader.
func (l *Ledger) view() (table, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.led {
		return nil, fmt.Errorf("memledger: %w", ledger.ErrClosed)
	}
	return l.now, nil
}

// Load is ledger.Ledger's.
func (l *Ledger) Load(ctx context.Context, to ledger.Receiver) error {
	t, err := l.view()
	if err != nil {
		return err
	}
	return keyed.Load(ctx, t, to)
}

// Get is ledger.Ledger's.
func (l *Ledger) Get(ctx context.Context, k ledger.Keys) (ledger.Found, error) {
	t, err := l.view()
	if err != nil {
		return ledger.Found{}, err
	}
	return keyed.Get(ctx, t, k)
}

// List is ledger.Ledger's.
func (l *Ledger) List(ctx context.Context, q ledger.Query) (ledger.Page, error) {
	t, err := l.view()
	if err != nil {
		return ledger.Page{}, err
	}
	return keyed.List(ctx, t, q)
}

// Events is ledger.Ledger's.
func (l *Ledger) Events(ctx context.Context, after int64, limit int) (ledger.EventPage, error) {
	t, err := l.view()
	if err != nil {
		return ledger.EventPage{}, err
	}
	return keyed.Events(ctx, t, after, limit)
}

// Commit is ledger.Ledger's.
func (l *Ledger) Commit(b *queue.Batch) (func() error, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case !l.led:
		return nil, fmt.Errorf("memledger: commit: %w", ledger.ErrClosed)
	case l.failed != nil:
		return nil, l.failed
	case l.fail.commit != nil:
		l.failed = l.fail.commit
		l.changed.Broadcast()
		return nil, l.failed
	}
	c := newChange()
	now := l.now
	err := l.writer.Write(b, c, func() (keyed.View, func() error, error) {
		return now, func() error { return nil }, nil
	})
	if err != nil {
		l.failed = err
		l.changed.Broadcast()
		return nil, err
	}
	l.now = c.on(l.now)
	l.commits++
	l.held = append(l.held, l.now)
	l.settle()
	n := l.commits
	return func() error { return l.wait(n) }, nil
}

// settle makes durable what may be.
func (l *Ledger) settle() {
	for l.failed == nil && len(l.held) > 0 && l.commits-len(l.held)+1 <= l.open {
		if l.fail.wait != nil {
			l.failed = l.fail.wait
			return
		}
		l.durable, l.held = l.held[0], l.held[1:]
	}
}

// wait returns once batch n is durable, or the ledger has failed before it was.
func (l *Ledger) wait(n int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for n > l.commits-len(l.held) && l.failed == nil {
		l.changed.Wait()
	}
	if n <= l.commits-len(l.held) {
		return nil
	}
	return l.failed
}

// Close is ledger.Ledger's.
func (l *Ledger) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.led {
		return fmt.Errorf("memledger: close: %w", ledger.ErrClosed)
	}
	l.led = false
	return nil
}
