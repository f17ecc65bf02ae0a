package runner

import (
	"maps"
	"strings"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// grind is the dialect of POST {endpoint}/grind:
//
//	prompt, model, model_tier, min_budget, max_budget, intensity, task_id, and the task's other parameters
//	→ status, result, model, budget_used, usage, task_id
//
// A result that is no string stands in the output under `result`, and as compact JSON in the text. Keys of the answer
// that have no field of their own go to the output as they are.
type grind struct{}

func (grind) path() string { return "grind" }

// request lets parameters add keys, never change what the task says itself: its budget is money.
func (grind) request(task *stintv1.Task) ([]byte, error) {
	body := task.GetParameters().AsMap()
	body["prompt"] = task.GetInstruction()
	body["task_id"] = task.GetId()
	body["intensity"] = intensity(task.GetIntensity())
	if budget := task.GetBudget(); budget != nil {
		if budget.MinUsd != nil {
			body["min_budget"] = budget.GetMinUsd()
		}
		if budget.MaxUsd != nil {
			body["max_budget"] = budget.GetMaxUsd()
		}
	}
	return encode(body)
}

func intensity(i stintv1.Intensity) string {
	if i == stintv1.Intensity_INTENSITY_UNSPECIFIED {
		i = stintv1.Intensity_INTENSITY_MEDIUM
	}
	return strings.ToLower(strings.TrimPrefix(i.String(), "INTENSITY_"))
}

func (grind) result(answer map[string]any) (*stintv1.Result, *refusal) {
	if failure := statedFailure(answer); failure != nil {
		return nil, failure
	}
	rest := maps.Clone(answer)
	delete(rest, "status")
	delete(rest, "task_id")
	result := &stintv1.Result{}
	switch said := answer["result"].(type) {
	case nil:
		return nil, noResult(answer)
	case string:
		result.Text = said
		delete(rest, "result")
	default:
		text, err := encode(said)
		if err != nil {
			return nil, badResponse("result can't be recorded: %v", err)
		}
		result.Text = string(text)
	}
	if refusal := takeFacts(result, rest); refusal != nil {
		return nil, refusal
	}
	var refusal *refusal
	result.Output, refusal = toStruct(rest)
	return result, refusal
}

// noResult is a failure of the task if the answer states an error, otherwise an answer of no use.
func noResult(answer map[string]any) *refusal {
	if text := statedError(answer); text != "" {
		return &refusal{class: stintv1.FailureClass_FAILURE_CLASS_TASK_FAILED, text: text, cost: cost(answer)}
	}
	refusal := badResponse("answer has no result (its status is %q)", answer["status"])
	refusal.cost = cost(answer)
	return refusal
}

// takeFacts moves model, cost and usage from rest to result, if they have the shape for it.
func takeFacts(result *stintv1.Result, rest map[string]any) *refusal {
	if model, ok := rest["model"].(string); ok {
		result.Model = model
		delete(rest, "model")
	}
	if usd := cost(rest); usd != nil {
		result.BudgetUsedUsd = usd
		delete(rest, "budget_used")
	}
	usage, ok := rest["usage"].(map[string]any)
	if !ok {
		return nil
	}
	delete(rest, "usage")
	var refusal *refusal
	result.Usage, refusal = toStruct(usage)
	return refusal
}
