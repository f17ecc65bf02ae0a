package server

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// specs translates tasks that the rules of the contract have passed, filling in the defaults
// in place. path gives the field path of task i. generated[i] says that the id was made here.
func (g *ids) specs(tasks []*stintv1.Task, path func(i int) string) (specs []queue.Spec, generated []bool, err error) {
	specs, generated = make([]queue.Spec, len(tasks)), make([]bool, len(tasks))
	var faults []fault
	for i, t := range tasks {
		if t == nil {
			t = &stintv1.Task{}
		}
		if err := checkInput(path(i), t); err != nil {
			return nil, nil, err
		}
		if faults = append(faults, checkTask(path(i), t)...); len(faults) > 0 {
			continue
		}
		if generated[i] = t.GetId() == ""; generated[i] {
			if t.Id, err = g.next(); err != nil {
				return nil, nil, err
			}
		}
		fillIn(t)
		if specs[i], err = spec(t); err != nil {
			return nil, nil, err
		}
	}
	if len(faults) > 0 {
		return nil, nil, invalidFields(faults)
	}
	return specs, generated, nil
}

// checkInput bounds what a task brings to its API.
func checkInput(path string, t *stintv1.Task) error {
	n := len(t.GetInstruction()) + proto.Size(t.GetParameters())
	if n <= maxTaskInput {
		return nil
	}
	return refuseField(stintv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE, path,
		"instruction and parameters have %d bytes encoded, %d are allowed; shorten them", n, maxTaskInput)
}

// checkTask looks for what the rules in the contract cannot say.
func checkTask(path string, t *stintv1.Task) []fault {
	faults := checkStruct(path+".parameters", t.GetParameters())
	faults = append(faults, checkTime(path+".not_before", t.GetNotBefore())...)
	faults = append(faults, checkTime(path+".expire_time", t.GetExpireTime())...)
	faults = append(faults, checkSpan(path+".attempt_timeout", t.GetAttemptTimeout())...)
	faults = append(faults, checkSpan(path+".retry.initial_backoff", t.GetRetry().GetInitialBackoff())...)
	faults = append(faults, checkSpan(path+".retry.max_backoff", t.GetRetry().GetMaxBackoff())...)
	if t.NotBefore != nil && t.ExpireTime != nil && instant(t.ExpireTime) <= instant(t.NotBefore) {
		faults = append(faults, fault{path + ".expire_time", "must be after not_before; raise it or drop not_before"})
	}
	seen := map[string]string{}
	for i, r := range t.GetRequires() {
		key, value, _ := strings.Cut(r, "=")
		if other, ok := seen[key]; ok && other != value {
			faults = append(faults, fault{fmt.Sprintf("%s.requires[%d]", path, i),
				fmt.Sprintf("asks %s for two values, which no agent can have; drop one", key)})
		}
		seen[key] = value
	}
	return faults
}

// spec translates a task with all defaults filled in. Its payload is the task itself in its
// one deterministic encoding, so that equal content has an equal digest.
func spec(t *stintv1.Task) (queue.Spec, error) {
	payload, err := canonical(t)
	if err != nil {
		return queue.Spec{}, err
	}
	r := t.GetRetry()
	return queue.Spec{
		ID: t.GetId(), Digest: digest(payload), Queue: t.GetQueue(), Priority: t.GetPriority(),
		DependsOn: t.GetDependsOn(), OnFailure: queue.Policy(t.GetOnDependencyFailure()),
		NotBefore: instant(t.GetNotBefore()), ExpireTime: instant(t.GetExpireTime()),
		AttemptTimeout: t.GetAttemptTimeout().AsDuration(),
		Retry: queue.Retry{
			MaxAttempts:    r.GetMaxAttempts(),
			InitialBackoff: r.GetInitialBackoff().AsDuration(),
			MaxBackoff:     r.GetMaxBackoff().AsDuration(),
			Unknown:        queue.UnknownOutcome(r.GetUnknownOutcome()),
		},
		Requires: requirements(t.GetRequires()), Labels: labels(t.GetLabels()), Payload: payload,
	}, nil
}
