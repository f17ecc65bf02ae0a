package keyed

import (
	"context"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/record"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// manyKeys is from how many keys on it pays to keep the names read, and to walk instead of looking each up.
const manyKeys = 16

// Get is ledger.Ledger's.
func Get(ctx context.Context, v View, k ledger.Keys) (ledger.Found, error) {
	r := reader{v: v}
	if len(k.IDs)+len(k.Serials)+len(k.Attempts) >= manyKeys {
		r.names = new(record.Names)
	}
	f := ledger.Found{
		IDs:      make([]*ledger.Task, len(k.IDs)),
		Attempts: make([]*queue.Attempt, len(k.Attempts)),
	}
	var err error
	for i := range k.IDs {
		if f.IDs[i], err = r.byID(ctx, k.IDs[i], &k); err != nil {
			return ledger.Found{}, err
		}
	}
	if f.Serials, err = r.bySerials(ctx, &k); err != nil {
		return ledger.Found{}, err
	}
	for i := range k.Attempts {
		if f.Attempts[i], err = r.attempt(ctx, k.Attempts[i]); err != nil {
			return ledger.Found{}, err
		}
	}
	return f, nil
}

func (r *reader) byID(ctx context.Context, id string, k *ledger.Keys) (*ledger.Task, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if id == "" {
		return nil, nil
	}
	s, ok, err := r.v.Serial(id)
	if err != nil || !ok {
		return nil, err
	}
	t := new(ledger.Task)
	if ok, err = r.spec(s, k.Payload, &t.Spec); err != nil || !ok {
		return nil, err
	}
	if t.Spec.ID != id {
		return nil, misled(id, &t.Spec)
	}
	ok, err = r.state(s, k.Result, t)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, orphan(&t.Spec)
	}
	if k.History {
		err = r.history(t.Spec.Serial, t)
	}
	return t, err
}

func (r *reader) bySerials(ctx context.Context, k *ledger.Keys) ([]*ledger.Task, error) {
	if len(k.Serials) == 0 {
		return []*ledger.Task{}, nil
	}
	found, err := r.states(ctx, k.Serials, k.Result)
	if err != nil {
		return nil, err
	}
	if k.Spec {
		if err := r.specsOf(ctx, found, k.Payload); err != nil {
			return nil, err
		}
	}
	if !k.History {
		return found, nil
	}
	for _, t := range found {
		if t == nil {
			continue
		}
		if err := r.history(serialOf(t), t); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (r *reader) attempt(ctx context.Context, k queue.AttemptKey) (*queue.Attempt, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	val, ok, err := r.get(record.AppendAttemptKey(r.key[:0], k.Serial, k.Number))
	if err != nil || !ok {
		return nil, err
	}
	a := new(queue.Attempt)
	return a, record.DecodeAttempt(r.key, val, r.names, a)
}

func idOf(t *ledger.Task) string {
	if t.Live != nil {
		return t.Live.ID
	}
	return t.Terminal.ID
}
