package transfer

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// link finds the dependencies that the files themselves do not hold.
func (p *Plan) link() {
	for i := range p.tasks {
		for _, id := range p.tasks[i].Spec.DependsOn {
			if _, ok := p.byID[id]; !ok {
				p.missing[id] = append(p.missing[id], i)
			}
		}
	}
}

// cycles notes each circle of dependencies that a walk along them closes.
func (p *Plan) cycles() {
	const (
		under = 1 // on the way from where the walk began
		done  = 2
	)
	type step struct{ task, next int }
	mark := make([]uint8, len(p.tasks))
	for first := range p.tasks {
		if mark[first] != 0 {
			continue
		}
		mark[first] = under
		for way := []step{{first, 0}}; len(way) > 0; {
			top := &way[len(way)-1]
			on := p.tasks[top.task].Spec.DependsOn
			if top.next == len(on) {
				mark[top.task] = done
				way = way[:len(way)-1]
				continue
			}
			child, ok := p.byID[on[top.next]]
			top.next++
			switch {
			case !ok || mark[child] == done:
			case mark[child] == under:
				at := slices.IndexFunc(way, func(s step) bool { return s.task == child })
				var ring []string
				for _, s := range way[at:] {
					ring = append(ring, p.tasks[s.task].Spec.ID)
				}
				p.circle(child, ring)
			default:
				mark[child] = under
				way = append(way, step{child, 0})
			}
		}
	}
}

func (p *Plan) circle(at int, ring []string) {
	if len(ring) > maxRing {
		ring = append(slices.Clone(ring[:maxRing]), "…")
	}
	t := &p.tasks[at]
	p.reading.faults.add(t.at, "%s: tasks depend on each other in a circle: %s: drop one of these dependencies",
		dependsPath(t.path), strings.Join(append(ring, t.Spec.ID), " → "))
}

func dependsPath(path string) string { return strings.TrimPrefix(path+".depends_on", ".") }

// absent judges a dependency that neither the files nor the ledger hold. In an export, what has
// ended outlived its dependencies, and what runs whatever becomes of them outlived those that
// failed; all else keeps what it depends on, so that there it is a fault.
func (p *Plan) absent(id string, tasks []int) {
	for _, i := range tasks {
		t := &p.tasks[i]
		if p.existed[t.Spec.ID] {
			continue
		}
		if t.exported && (t.State.Terminal() || t.Spec.OnFailure == queue.PolicyRun) {
			t.Forgotten = append(t.Forgotten, id)
			p.reading.warnings.add(t.at, "%s: %s is found nowhere and taken as forgotten before the export: the task does not wait for it, and cannot be retried",
				dependsPath(t.path), quoted(id))
			continue
		}
		p.reading.faults.add(t.at, "%s: %s is found nowhere, neither in the files nor in the ledger: import its task too, or drop the dependency",
			dependsPath(t.path), quoted(id))
	}
}

// blocked tells whether a task will wait for others.
func (p *Plan) blocked(t *planned) bool {
	if t.State != queue.Ready {
		return false
	}
	for _, id := range t.Spec.DependsOn {
		if i, ok := p.byID[id]; ok && p.tasks[i].State != queue.Completed {
			return true
		}
	}
	return false
}
