package engine

import (
	"testing"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Import is all or none, looks up as Submit does, and keeps what has ended.
func TestImport(t *testing.T) {
	bubble(t, func(t *testing.T, r *rig) {
		tasks := []queue.Imported{
			{Spec: spec("done"), State: queue.Completed, Result: []byte("old result"), Agent: "worker"},
			{Spec: spec("next", func(s *queue.Spec) { s.DependsOn = []string{"done"} }), State: queue.Ready},
		}
		for i, want := range []bool{false, true} {
			existed, err := r.Import(t.Context(), tasks)
			if err != nil || existed[0] != want || existed[1] != want {
				t.Fatalf("import %d: %v, %v", i, existed, err)
			}
			r.settle()
		}
		if got := r.task("done"); string(got.Result) != "old result" {
			t.Errorf("done: %+v", got)
		}
		if got := r.task("next"); got.Status.State != queue.Ready {
			t.Errorf("next: %+v", got.Status)
		}
	})
}
