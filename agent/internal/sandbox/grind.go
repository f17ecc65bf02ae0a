package sandbox

import "net/http"

// modelName stands in every answer, whatever model was asked for: it did not do the work.
const modelName = "stint-sandbox"

// topSentences is how many sentences a summary has, by intensity; the empty one is the agent's default.
var topSentences = map[string]int{"": 3, "low": 1, "medium": 3, "high": 5}

type grindRequest struct {
	Prompt    string   `json:"prompt"`
	Model     string   `json:"model"`
	ModelTier string   `json:"model_tier"`
	MinBudget *float64 `json:"min_budget"`
	MaxBudget *float64 `json:"max_budget"`
	Intensity string   `json:"intensity"`
	TaskID    string   `json:"task_id"`
}

type grindAnswer struct {
	Status     string  `json:"status"`
	Result     string  `json:"result"`
	Model      string  `json:"model"`
	BudgetUsed float64 `json:"budget_used"`
	Usage      usage   `json:"usage"`
	TaskID     string  `json:"task_id"`
	Nonce      string  `json:"nonce"`
}

// grind answers POST /grind.
func (s *Server) grind(body []byte, c *call) reply {
	var req grindRequest
	found := decode(body, &req)
	c.TaskID = req.TaskID[:min(len(req.TaskID), maxTaskID)] // of a refused call too
	if found == nil {
		found = req.check()
	}
	if found != nil {
		return found.reply()
	}
	result := work(req.Prompt, topSentences[req.Intensity])
	used := newUsage(tokens(req.Prompt), tokens(result))
	return reply{http.StatusOK, grindAnswer{
		Status:     "completed",
		Result:     result,
		Model:      modelName,
		BudgetUsed: used.cost(req.MinBudget, req.MaxBudget),
		Usage:      used,
		TaskID:     req.TaskID,
		Nonce:      c.Nonce,
	}}
}

func (r grindRequest) check() (f faults) {
	if blank(r.Prompt) {
		f.add("prompt is missing or blank; give the text to work on")
	}
	if _, known := topSentences[r.Intensity]; !known {
		f.add("intensity %q is unknown; give low, medium or high", r.Intensity)
	}
	for _, b := range []struct {
		field string
		usd   *float64
	}{{"min_budget", r.MinBudget}, {"max_budget", r.MaxBudget}} {
		if b.usd != nil && *b.usd < 0 {
			f.add("%s %v is negative; give US dollars from 0", b.field, *b.usd)
		}
	}
	if r.MinBudget != nil && r.MaxBudget != nil && *r.MinBudget > *r.MaxBudget {
		f.add("min_budget %v is above max_budget %v; lower the one or raise the other", *r.MinBudget, *r.MaxBudget)
	}
	f.checkTaskID(r.TaskID)
	return f
}
