package server

import (
	"fmt"
	"math"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// report translates a report that the rules of the contract have passed: exactly one of
// result and failure is set. A result that cannot be kept becomes the failure that is recorded
// in its place.
func (e *encoder) report(r *stintv1.Report) (engine.Report, error) {
	if r.Result == nil {
		return failureReport(r)
	}
	encoded, sum, err := e.result(r.Result)
	if err != nil {
		return engine.Report{}, err
	}
	out := engine.Report{LeaseID: echoed(r.GetLeaseId()), Digest: sum}
	var ok bool
	out.Cost, out.HasCost, ok = costOf(r.Result.BudgetUsedUsd)
	class, why := unfit(r.Result, len(encoded), ok)
	if why == "" {
		out.Success, out.Result = true, encoded
		return out, nil
	}
	out.Invalid = cut(why, maxFailureMessage)
	out.Failure = queue.Failure{Class: class, Message: out.Invalid, Cost: out.Cost, HasCost: out.HasCost}
	return out, nil
}

// echoed is a lease id as it is answered: cut where it cannot be ours, since it is kept until then.
func echoed(lease string) string { return cut(lease, maxEcho) }

// unfit says why a result cannot be kept; empty: it can.
func unfit(r *stintv1.Result, size int, costOK bool) (queue.Class, string) {
	if size > maxResult {
		return queue.ClassResultTooLarge,
			fmt.Sprintf("the result has %d bytes encoded, %d are allowed", size, maxResult)
	}
	if !costOK {
		return queue.ClassBadResponse,
			fmt.Sprintf("result.budget_used_usd is %v: not an amount from 0 to %d", *r.BudgetUsedUsd, maxUSD)
	}
	for _, f := range append(checkStruct("result.output", r.GetOutput()), checkStruct("result.usage", r.GetUsage())...) {
		return queue.ClassBadResponse, f.path + " " + f.text
	}
	return 0, ""
}

func failureReport(r *stintv1.Report) (engine.Report, error) {
	encoded, err := canonical([]byte{failureMark}, r.Failure)
	if err != nil {
		return engine.Report{}, err
	}
	f := r.Failure
	cost, has, _ := costOf(f.BudgetUsedUsd)
	return engine.Report{
		LeaseID: echoed(r.GetLeaseId()), Digest: queue.DigestOf(encoded), Cost: cost, HasCost: has,
		Failure: queue.Failure{
			Class: reportedClass(f.GetFailureClass()), Message: cut(f.GetMessage(), maxFailureMessage),
			HTTPStatus: f.GetHttpStatus(), RetryAfter: max(f.GetRetryAfter().AsDuration(), 0),
			Cost: cost, HasCost: has,
		},
	}, nil
}

// reportedClass takes what an agent may not say, or what is not known here, as INTERNAL.
func reportedClass(c stintv1.FailureClass) queue.Class {
	switch c {
	case stintv1.FailureClass_FAILURE_CLASS_UNSPECIFIED,
		stintv1.FailureClass_FAILURE_CLASS_LEASE_EXPIRED,
		stintv1.FailureClass_FAILURE_CLASS_CANCELLED,
		stintv1.FailureClass_FAILURE_CLASS_DEPENDENCY_FAILED,
		stintv1.FailureClass_FAILURE_CLASS_DEADLINE:
		return queue.ClassInternal
	}
	if _, known := stintv1.FailureClass_name[int32(c)]; !known {
		return queue.ClassInternal
	}
	return queue.Class(c)
}

// extension translates a lease that is held, with its progress. Progress that is not a share
// is dropped: it must not cost the lease.
func extension(p *stintv1.LeaseProgress) engine.Extension {
	x := engine.Extension{LeaseID: echoed(p.GetLeaseId()), Message: cut(p.GetMessage(), maxProgressMessage)}
	if v := p.GetProgress(); p.Progress != nil && !math.IsNaN(v) && v >= 0 && v <= 1 {
		x.Progress, x.HasProgress = v, true
	}
	return x
}

func extensions(list []*stintv1.LeaseProgress) []engine.Extension {
	out := make([]engine.Extension, len(list))
	for i, p := range list {
		out[i] = extension(p)
	}
	return out
}

func releases(list []*stintv1.Release) []engine.Release {
	out := make([]engine.Release, len(list))
	for i, r := range list {
		out[i] = engine.Release{LeaseID: echoed(r.GetLeaseId()), Started: r.GetStarted()}
	}
	return out
}

// checkReport looks for what the rules in the contract cannot say of a failure.
func checkReport(path string, r *stintv1.Report) []fault {
	return checkSpan(path+".failure.retry_after", r.GetFailure().GetRetryAfter())
}
