package server

import (
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// specs translates tasks that the rules of the contract have passed, filling in the defaults
// in place, those of their queues too. path gives the field path of task i. generated[i] says that
// the id was made here.
func (g *ids) specs(tasks []*stintv1.Task, path func(i int) string) (specs []queue.Spec, generated []bool, err error) {
	specs, generated = make([]queue.Spec, len(tasks)), make([]bool, len(tasks))
	var faults []fault
	var code encoder
	for i, t := range tasks {
		if t == nil {
			t = &stintv1.Task{}
		}
		if inputSize(t) > maxTaskInput {
			return nil, nil, inputTooLarge(path(i), t)
		}
		for _, f := range checkTask(t) {
			faults = append(faults, fault{path(i) + "." + f.path, f.text})
		}
		if len(faults) > 0 {
			continue
		}
		if generated[i] = t.GetId() == ""; generated[i] {
			if t.Id, err = g.next(); err != nil {
				return nil, nil, err
			}
		}
		open := openRetry(t.GetRetry())
		fillIn(t)
		if err = code.spec(&specs[i], t); err != nil {
			return nil, nil, err
		}
		if err := g.takeDefaults(&specs[i], t, open); err != nil {
			return nil, nil, err
		}
	}
	if len(faults) > 0 {
		return nil, nil, invalidFields(faults)
	}
	return specs, generated, nil
}

// inputSize is what a task brings to its API, in bytes.
func inputSize(t *stintv1.Task) int {
	return len(t.GetInstruction()) + proto.Size(t.GetParameters())
}

func inputTooLarge(path string, t *stintv1.Task) error {
	return refuseField(stintv1.ErrorReason_ERROR_REASON_REQUEST_TOO_LARGE, path,
		"instruction and parameters have %d bytes encoded, %d are allowed; shorten them", inputSize(t), maxTaskInput)
}

// checkTask looks for what the rules in the contract cannot say; paths begin below the task.
func checkTask(t *stintv1.Task) []fault {
	faults := checkStruct("parameters", t.GetParameters())
	faults = append(faults, checkTime("not_before", t.GetNotBefore())...)
	faults = append(faults, checkTime("expire_time", t.GetExpireTime())...)
	faults = append(faults, checkSpan("attempt_timeout", t.GetAttemptTimeout())...)
	faults = append(faults, checkSpan("retry.initial_backoff", t.GetRetry().GetInitialBackoff())...)
	faults = append(faults, checkSpan("retry.max_backoff", t.GetRetry().GetMaxBackoff())...)
	if t.NotBefore != nil && t.ExpireTime != nil && instant(t.ExpireTime) <= instant(t.NotBefore) {
		faults = append(faults, fault{"expire_time", "must be after not_before; raise it or drop not_before"})
	}
	faults = append(faults, checkReferences(t.GetInstruction(), t.GetDependsOn())...)
	return append(faults, checkRequires(t.GetRequires())...)
}

// spec translates a task with all defaults filled in. Its payload is the task itself in its
// one deterministic encoding, so that equal content has an equal digest.
func (e *encoder) spec(s *queue.Spec, t *stintv1.Task) error {
	payload, err := e.task(t)
	if err != nil {
		return err
	}
	r := t.GetRetry()
	*s = queue.Spec{
		ID: t.GetId(), Digest: queue.DigestOf(payload), Queue: t.GetQueue(), Priority: t.GetPriority(),
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
		MaxCost: mostCost(t), FairnessKey: t.GetFairnessKey(), ConcurrencyKey: t.GetConcurrencyKey(),
	}
	return nil
}
