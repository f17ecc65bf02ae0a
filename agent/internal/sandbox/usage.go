package sandbox

import "math"

const (
	// bytesPerToken is the usual rule of thumb for English text.
	bytesPerToken = 4

	// usdPerToken is in the range of what inference costs, so that budgets of cents have something to do.
	usdPerToken = 10e-6

	// microPerUSD: budgets are kept in whole micro-dollars.
	microPerUSD = 1e6
)

// usage counts estimated tokens, in the names that inference APIs use.
type usage struct {
	PromptTokens     int `json:"prompt_tokens"`
	CompletionTokens int `json:"completion_tokens"`
	TotalTokens      int `json:"total_tokens"`
}

func newUsage(prompt, completion int) usage { return usage{prompt, completion, prompt + completion} }

// tokens estimates; text that isn't empty has at least one.
func tokens(text string) int { return (len(text) + bytesPerToken - 1) / bytesPerToken }

// cost is in US dollars, whole micro-dollars before it is raised to least or cut to most; nil means no bound.
func (u usage) cost(least, most *float64) float64 {
	usd := math.Round(float64(u.TotalTokens)*usdPerToken*microPerUSD) / microPerUSD
	if least != nil {
		usd = max(usd, *least)
	}
	if most != nil {
		usd = min(usd, *most)
	}
	return usd
}
