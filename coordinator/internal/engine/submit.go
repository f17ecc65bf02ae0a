package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Submit makes tasks, all or none. The payloads belong to the engine from here on. Errors:
// *queue.Error as in queue.Submit, and DiskFull; ErrStopping.
func (e *Engine) Submit(ctx context.Context, tasks []queue.Spec, generated []bool) ([]bool, error) {
	if err := e.serving(); err != nil {
		return nil, err
	}
	cmd := &queue.Submit{Tasks: tasks, Generated: generated, NoRoom: e.room()}
	if err := e.bring(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Existed, cmd.Err
}

// SubmitOne is Submit for a single task, and tells how it was made.
func (e *Engine) SubmitOne(ctx context.Context, task queue.Spec, generated bool) (queue.Status, bool, error) {
	if err := e.serving(); err != nil {
		return queue.Status{}, false, err
	}
	cmd := &queue.Submit{Tasks: []queue.Spec{task}, Generated: []bool{generated}, NoRoom: e.room()}
	if err := e.bring(ctx, cmd); err != nil {
		return queue.Status{}, false, err
	}
	if cmd.Err != nil {
		return queue.Status{}, false, cmd.Err
	}
	return cmd.Made, cmd.Existed[0], nil
}

// Import brings tasks of an older system in, terminal ones included; all or none. It is for
// programs that run an engine without a server. Errors are those of Submit.
func (e *Engine) Import(ctx context.Context, tasks []queue.Imported) ([]bool, error) {
	if err := first(e.serving(), e.room()); err != nil {
		return nil, err
	}
	cmd := &queue.Import{Tasks: tasks}
	if err := e.bring(ctx, cmd); err != nil {
		return nil, err
	}
	return cmd.Existed, cmd.Err
}

// bring makes the look-up of a command that always needs one, and then hands it in.
func (e *Engine) bring(ctx context.Context, cmd queue.Command) error {
	c := newCall(cmd)
	if err := e.lookUp(ctx, c); err != nil {
		return err
	}
	if err := e.enqueue(ctx, c); err != nil {
		e.drop(c)
		return err
	}
	return e.await(ctx, c)
}

func submitIDs(c *queue.Submit) []string {
	return submitted(len(c.Tasks), func(i int) (*queue.Spec, bool) {
		return &c.Tasks[i], i < len(c.Generated) && c.Generated[i]
	})
}

func importIDs(c *queue.Import) []string {
	return submitted(len(c.Tasks), func(i int) (*queue.Spec, bool) { return &c.Tasks[i].Spec, false })
}

// submitted gives the ids that must be looked up: those chosen by the submitter, and those
// depended on that the batch does not hold.
func submitted(n int, task func(int) (s *queue.Spec, generated bool)) []string {
	ids := make([]string, 0, n)
	parents := 0
	for i := range n {
		s, generated := task(i)
		if parents += len(s.DependsOn); !generated {
			ids = append(ids, s.ID)
		}
	}
	if parents == 0 {
		return ids
	}
	seen := make(map[string]bool, n+parents)
	for i := range n {
		s, _ := task(i)
		seen[s.ID] = true
	}
	for i := range n {
		s, _ := task(i)
		for _, id := range s.DependsOn {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// space remembers how much was free when it was last looked at.
type space struct {
	mu      sync.Mutex
	checked time.Time
	free    uint64
	known   bool
}

// room refuses what would fill the disk. A disk that cannot be asked refuses nothing.
func (e *Engine) room() error {
	if e.config.FreeBytes == nil {
		return nil
	}
	s := &e.space
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checked.IsZero() || time.Since(s.checked) >= freeCheckEvery {
		free, err := e.config.FreeBytes()
		if err != nil {
			e.config.Logger.Warn("free disk space is unknown", "error", err)
		}
		s.free, s.known, s.checked = free, err == nil, time.Now()
	}
	if !s.known || s.free >= e.config.MinFree {
		return nil
	}
	return &queue.Error{
		Reason: DiskFull,
		Detail: fmt.Sprintf("%d bytes are free where the ledger is, and %d must be: free some, or lower --min-free",
			s.free, e.config.MinFree),
		RetryAfter: freeRetryAfter,
	}
}
