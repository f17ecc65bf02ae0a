package server

import (
	"slices"
	"strings"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// labels translates a map of labels: sorted by key.
func labels(m map[string]string) []queue.Label {
	var out []queue.Label
	for k, v := range m {
		out = append(out, queue.Label{Key: k, Value: v})
	}
	slices.SortFunc(out, byKey)
	return out
}

func byKey(a, b queue.Label) int {
	if c := strings.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	return strings.Compare(a.Value, b.Value)
}

// labelMap translates labels back.
func labelMap(l []queue.Label) map[string]string {
	if len(l) == 0 {
		return nil
	}
	m := make(map[string]string, len(l))
	for _, x := range l {
		m[x.Key] = x.Value
	}
	return m
}
