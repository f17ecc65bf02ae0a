package queue

import (
	"slices"
	"strings"
)

// checkParents refuses dependencies that do not exist, and cycles. Tasks that exist cannot
// depend on new ones, so a cycle lies within the batch.
func (m *Machine) checkParents(tasks []Spec, existed []bool, lk *Lookup) error {
	if !anyDepends(tasks, existed) {
		return nil
	}
	at := make(map[string]int, len(tasks))
	for i := range tasks {
		at[tasks[i].ID] = i
	}
	var absent []string
	for i := range tasks {
		if existed[i] {
			continue
		}
		for _, id := range tasks[i].DependsOn {
			if _, ok := at[id]; ok {
				continue
			}
			if _, _, ok := m.parent(id, lk); !ok && !slices.Contains(absent, id) {
				absent = append(absent, id)
			}
		}
	}
	if len(absent) > 0 {
		return dependencyNotFound(absent)
	}
	if cycle := findCycle(tasks, existed, at); cycle != nil {
		return &Error{
			Reason: DependencyCycle, Names: cycle,
			Detail: "these tasks wait for each other: " + strings.Join(append(cycle, cycle[0]), " → "),
		}
	}
	return nil
}

func anyDepends(tasks []Spec, existed []bool) bool {
	for i := range tasks {
		if !existed[i] && len(tasks[i].DependsOn) > 0 {
			return true
		}
	}
	return false
}

func dependencyNotFound(ids []string) error {
	return &Error{
		Reason: DependencyNotFound, Names: ids,
		Detail: "submit the tasks depended on first, or in the same call",
	}
}

// findCycle gives the ids of one cycle in order of dependency, or nil: a depth-first walk
// with a stack of its own, since a batch may be one long chain.
func findCycle(tasks []Spec, existed []bool, at map[string]int) []string {
	const (
		unseen = iota
		onPath
		cleared
	)
	mark := make([]uint8, len(tasks))
	type frame struct{ task, dep int }
	for root := range tasks {
		if mark[root] != unseen || existed[root] {
			continue
		}
		path := []frame{{root, 0}}
		mark[root] = onPath
		for len(path) > 0 {
			f := &path[len(path)-1]
			if f.dep == len(tasks[f.task].DependsOn) {
				mark[f.task] = cleared
				path = path[:len(path)-1]
				continue
			}
			j, ok := at[tasks[f.task].DependsOn[f.dep]]
			f.dep++
			if !ok || existed[j] || mark[j] == cleared {
				continue
			}
			if mark[j] == onPath {
				var ids []string
				for k := slices.IndexFunc(path, func(f frame) bool { return f.task == j }); k < len(path); k++ {
					ids = append(ids, tasks[path[k].task].ID)
				}
				return ids
			}
			mark[j] = onPath
			path = append(path, frame{j, 0})
		}
	}
	return nil
}
