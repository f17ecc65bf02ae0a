package server

import (
	"math"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// micros rounds US dollars to micro-dollars; false: not an amount from 0 to maxUSD.
func micros(usd float64) (queue.Micros, bool) {
	if math.IsNaN(usd) || usd < 0 || usd > maxUSD {
		return 0, false
	}
	return queue.Micros(math.Round(usd * microsPerUSD)), true
}

// mostCost is what an attempt of a task with all defaults filled in may cost.
func mostCost(t *stintv1.Task) queue.Micros {
	m, _ := micros(t.GetBudget().GetMaxUsd())
	return m
}

// usd translates micro-dollars back.
func usd(m queue.Micros) float64 { return float64(m) / microsPerUSD }

// costOf gives an amount of a report; false: it is set and is not an amount.
func costOf(reported *float64) (m queue.Micros, has, ok bool) {
	if reported == nil {
		return 0, false, true
	}
	m, ok = micros(*reported)
	return m, ok, ok
}

// shownCost translates an amount that may be unknown.
func shownCost(m queue.Micros, has bool) *float64 {
	if !has {
		return nil
	}
	return new(usd(m))
}
