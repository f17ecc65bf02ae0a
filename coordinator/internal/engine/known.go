package engine

import (
	"context"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func choices(items []queue.Choice) []string {
	ids := make([]string, len(items))
	for i := range items {
		ids[i] = items[i].ID
	}
	return ids
}

// needed gives the leases that the machine wants looked up.
func needed(cmd queue.Command) []queue.LeaseRef {
	var refs []queue.LeaseRef
	add := func(need bool, l queue.LeaseRef) {
		if need {
			refs = append(refs, l)
		}
	}
	reports := func(rs []queue.Report) {
		for i := range rs {
			add(rs[i].Need, rs[i].Lease)
		}
	}
	extensions := func(xs []queue.Extension) {
		for i := range xs {
			add(xs[i].Need, xs[i].Lease)
		}
	}
	switch c := cmd.(type) {
	case *queue.ReportLeases:
		reports(c.Reports)
	case *queue.Message:
		reports(c.Reports)
		extensions(c.Held)
	case *queue.ReleaseLeases:
		for i := range c.Releases {
			add(c.Releases[i].Need, c.Releases[i].Lease)
		}
	case *queue.ExtendLeases:
		extensions(c.Extensions)
	}
	return refs
}

// knownIDs looks tasks up by id.
func (e *Engine) knownIDs(ctx context.Context, k ledger.Keys) ([]queue.Known, error) {
	if len(k.IDs) == 0 {
		return nil, nil
	}
	found, err := e.ledger.Get(ctx, k)
	if err != nil {
		return nil, err
	}
	return appendKnown(nil, found.IDs), nil
}

// knownWithParents looks tasks up by id with all their attempts, and the tasks that they
// depend on: what a new run needs.
func (e *Engine) knownWithParents(ctx context.Context, ids []string) ([]queue.Known, error) {
	known, err := e.knownIDs(ctx, ledger.Keys{IDs: ids, History: true})
	if err != nil {
		return nil, err
	}
	seen := make(map[queue.Serial]bool, len(known))
	for i := range known {
		seen[known[i].Spec.Serial] = true
	}
	var parents []queue.Serial
	for i := range known {
		for _, p := range known[i].Spec.Parents {
			if !seen[p] {
				seen[p] = true
				parents = append(parents, p)
			}
		}
	}
	if len(parents) == 0 {
		return known, nil
	}
	found, err := e.ledger.Get(ctx, ledger.Keys{Serials: parents})
	if err != nil {
		return nil, err
	}
	return appendKnown(known, found.Serials), nil
}

// knownLeases looks up the tasks of leases, each with the attempts asked for.
func (e *Engine) knownLeases(ctx context.Context, refs []queue.LeaseRef) ([]queue.Known, error) {
	if len(refs) == 0 {
		return nil, nil
	}
	keys := ledger.Keys{Attempts: make([]queue.AttemptKey, len(refs)), Spec: true} // a late cost belongs to a fairness key
	at := make(map[queue.Serial]int, len(refs))
	for i, r := range refs {
		keys.Attempts[i] = queue.AttemptKey{Serial: r.Serial, Number: r.Attempt}
		if _, ok := at[r.Serial]; !ok {
			at[r.Serial] = len(keys.Serials)
			keys.Serials = append(keys.Serials, r.Serial)
		}
	}
	found, err := e.ledger.Get(ctx, keys)
	if err != nil {
		return nil, err
	}
	for i, a := range found.Attempts {
		t := found.Serials[at[refs[i].Serial]]
		if a != nil && t != nil {
			t.Attempts = append(t.Attempts, *a)
		}
	}
	return appendKnown(nil, found.Serials), nil
}

// appendKnown turns what was found into what the machine takes.
func appendKnown(known []queue.Known, tasks []*ledger.Task) []queue.Known {
	for _, t := range tasks {
		if t == nil {
			continue
		}
		k := queue.Known{Spec: t.Spec, Attempts: t.Attempts}
		if d := t.Terminal; d != nil {
			k.Spec.Serial, k.Spec.ID, k.Spec.Queue = d.Serial, d.ID, d.Queue
			k.Status, k.Failure, k.Final = d.Status, d.Failure, d.Final
		} else {
			k.Spec.Serial, k.Spec.ID, k.Spec.Queue = t.Live.Serial, t.Live.ID, t.Live.Queue
			k.Status = t.Live.Status
		}
		known = append(known, k)
	}
	return known
}
