package blackbox

import (
	"bytes"
	"context"
	"regexp"
	"strings"
	"sync"
)

// journal keeps what a process writes, and lets others wait for it. Any goroutine may call any method.
type journal struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // closed, and made anew, when there is more
	ended bool
}

func newJournal() *journal { return &journal{grown: make(chan struct{})} }

// Write never fails.
func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.text.Write(p)
	j.stirLocked()
	return len(p), nil
}

// end says that no more will come.
func (j *journal) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	j.stirLocked()
}

func (j *journal) stirLocked() {
	close(j.grown)
	j.grown = make(chan struct{})
}

// String is all so far.
func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// lines are the whole lines so far.
func (j *journal) lines() []string {
	text := j.String()
	end := strings.LastIndexByte(text, '\n')
	if end < 0 {
		return nil
	}
	return strings.Split(text[:end], "\n")
}

// count is how many lines match so far.
func (j *journal) count(pattern *regexp.Regexp) int {
	n := 0
	for _, line := range j.lines() {
		if pattern.MatchString(line) {
			n++
		}
	}
	return n
}

// find waits for the nth line, from 1, that matches, and gives the match with its groups; nil if ctx or the process ended
// without one.
func (j *journal) find(ctx context.Context, pattern *regexp.Regexp, nth int) []string {
	for {
		j.mu.Lock()
		grown, ended := j.grown, j.ended
		j.mu.Unlock()
		left := nth
		for _, line := range j.lines() {
			if match := pattern.FindStringSubmatch(line); match != nil {
				if left--; left == 0 {
					return match
				}
			}
		}
		if ended {
			return nil
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil
		}
	}
}
