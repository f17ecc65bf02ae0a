package server

import (
	"errors"
	"fmt"
	"strings"

	"buf.build/go/protovalidate"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Admission judges tasks that come by another road than a call, as SubmitTask would.
// It may be used by any number of goroutines.
type Admission struct{ rules rules }

// NewAdmission compiles the rules of the contract.
func NewAdmission() (*Admission, error) {
	r, err := newRules()
	if err != nil {
		return nil, err
	}
	return &Admission{r}, nil
}

// Spec fills in the general defaults of a task in place and translates it; its payload is the one
// that a submit of the same task to a queue without a retry policy would store. The task must have
// an id. An error names the fields that break a rule, by their paths in Task.
func (a *Admission) Spec(t *stintv1.Task) (queue.Spec, error) {
	if t.GetId() == "" {
		return queue.Spec{}, errors.New("id must be set")
	}
	if err := a.rules.Validate(t); err != nil {
		var v *protovalidate.ValidationError
		if !errors.As(err, &v) {
			return queue.Spec{}, fmt.Errorf("server: rules of the contract: %w", err)
		}
		return queue.Spec{}, plain(violated(v.ToProto().GetViolations()))
	}
	if inputSize(t) > maxTaskInput {
		return queue.Spec{}, plain(inputTooLarge("", t))
	}
	if faults := checkTask(t); len(faults) > 0 {
		return queue.Spec{}, plain(invalidFields(faults))
	}
	fillIn(t)
	var s queue.Spec
	err := new(encoder).spec(&s, t)
	return s, err
}

// plain is a refusal for somebody who made no call: its text alone, paths from the task on.
func plain(err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return err
	}
	return errors.New(strings.TrimPrefix(r.text, "."))
}
