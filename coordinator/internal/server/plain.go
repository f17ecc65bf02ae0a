package server

import (
	"math"

	"buf.build/go/protovalidate"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Validate sees by hand that a submit of plain tasks keeps the rules, which is what nearly all of
// them are and costs a tenth. It never refuses: whatever it isn't sure of goes to the rules of the
// contract. Of those it stops at the first violation, and looks for the others only in a small message.
func (r rules) Validate(m proto.Message, o ...protovalidate.ValidationOption) error {
	if plainSubmit(m) {
		return nil
	}
	err := r.Validator.Validate(m, append(o, protovalidate.WithFailFast())...)
	if err == nil || proto.Size(m) > fullReport {
		return err
	}
	return r.Validator.Validate(m, o...)
}

func plainSubmit(m proto.Message) bool {
	switch r := m.(type) {
	case *stintv1.SubmitTaskRequest:
		return r.GetTask() != nil && isPlain(r.GetTask())
	case *stintv1.SubmitTasksRequest:
		if n := len(r.GetTasks()); n == 0 || n > maxBatch {
			return false
		}
		for _, t := range r.GetTasks() {
			if t == nil || !isPlain(t) {
				return false
			}
		}
		return true
	}
	return false
}

// isPlain tells that a task surely keeps the rules of the contract. Fields without rules are not
// looked at; those with rules that cost more to see are just unset.
func isPlain(t *stintv1.Task) bool {
	return (t.Id == "" || queue.IsID(t.Id)) && (t.Queue == "" || queue.IsID(t.Queue)) &&
		t.Priority >= -100 && t.Priority <= 100 &&
		t.OnDependencyFailure >= 0 && t.OnDependencyFailure <= stintv1.OnDependencyFailure_ON_DEPENDENCY_FAILURE_WAIT &&
		t.Intensity >= 0 && t.Intensity <= stintv1.Intensity_INTENSITY_HIGH &&
		t.AttemptTimeout == nil && t.Retry == nil &&
		len(t.Requires) == 0 && isLabelValue(t.FairnessKey) && isLabelValue(t.ConcurrencyKey) &&
		plainLabels(t.Labels) && plainParents(t.DependsOn) && plainBudget(t.Budget)
}

// plainParents tells that a few ids are well formed and differ.
func plainParents(ids []string) bool {
	const few = 8
	if len(ids) > few {
		return false
	}
	for i, id := range ids {
		if !queue.IsID(id) {
			return false
		}
		for _, other := range ids[:i] {
			if id == other {
				return false
			}
		}
	}
	return true
}

func plainLabels(labels map[string]string) bool {
	for k, v := range labels {
		if !isLabelKey(k) || !isLabelValue(v) {
			return false
		}
	}
	return len(labels) <= maxLabels
}

func plainBudget(b *stintv1.Budget) bool {
	if b == nil {
		return true
	}
	lowest, highest := 0.0, math.MaxFloat64
	if b.MinUsd != nil {
		lowest = *b.MinUsd
	}
	if b.MaxUsd != nil {
		highest = *b.MaxUsd
	}
	// Not a number compares as false.
	return lowest >= 0 && lowest <= maxUSD && highest >= lowest && (b.MaxUsd == nil || highest <= maxUSD)
}
