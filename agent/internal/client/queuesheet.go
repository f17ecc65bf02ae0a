package client

import (
	"fmt"
	"strconv"
	"strings"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// none stands for a limit that isn't set.
const none = "none"

// settingRows are the settings of a queue that UpdateQueue changes, each with its value, in one order.
func settingRows(q *stintv1.Queue) [][]string {
	return [][]string{
		{"Max running", limitText(q.GetMaxRunning())},
		{"Rate", rateText(q.GetRate())},
		{"Weight", strconv.Itoa(int(max(q.GetWeight(), 1)))},
		{"Strict fencing", yesNo(q.GetStrictFencing())},
		{"Retry", retryText(q.GetRetry())},
		{"Budget USD", queueBudgetText(q.GetBudget())},
		{"Max per key", limitText(q.GetMaxRunningPerKey())},
	}
}

// standRows are how it stands against its limits.
func standRows(q *stintv1.Queue) [][]string {
	s := q.GetStatus()
	rows := [][]string{{"Etag", oneLine(q.GetEtag())}, {"Running", strconv.Itoa(int(s.GetRunning()))}}
	if q.GetRate().GetPerSecond() > 0 {
		rows = append(rows, []string{"Rate available", strconv.FormatFloat(s.GetRateAvailable(), 'f', 1, 64)})
	}
	for _, sum := range []struct {
		name  string
		value float64
	}{{"Spent USD", s.GetSpentUsd()}, {"Reserved USD", s.GetReservedUsd()}, {"Overrun USD", s.GetOverrunUsd()}} {
		rows = append(rows, []string{sum.name, usd(&sum.value)})
	}
	rows = append(rows, []string{"Period began", clock(s.GetPeriodStartTime())}, []string{"Period ends", clock(s.GetPeriodEndTime())},
		[]string{"Oldest ready", span(s.GetOldestReadyAge())})
	return filled(rows)
}

func limitText(n int32) string {
	if n == 0 {
		return none
	}
	return strconv.Itoa(int(n))
}

func rateText(r *stintv1.QueueRate) string {
	if r.GetPerSecond() == 0 {
		return none
	}
	text := strconv.FormatFloat(r.GetPerSecond(), 'g', -1, 64) + "/s"
	if r.GetBurst() > 0 {
		text += fmt.Sprintf(", burst %d", r.GetBurst())
	}
	return text
}

// retryText names what differs from the general defaults; a queue leaves those as they are.
func retryText(r *stintv1.RetryPolicy) string {
	var parts []string
	if r.GetMaxAttempts() != 0 {
		parts = append(parts, fmt.Sprintf("%d attempts", r.GetMaxAttempts()))
	}
	if r.GetInitialBackoff() != nil {
		parts = append(parts, "back-off from "+span(r.GetInitialBackoff()))
	}
	if r.GetMaxBackoff() != nil {
		parts = append(parts, "back-off to "+span(r.GetMaxBackoff()))
	}
	if r.GetUnknownOutcome() != 0 {
		parts = append(parts, "unknown outcome "+bare(unknownPrefix, r.GetUnknownOutcome()))
	}
	if parts == nil {
		return "default"
	}
	return strings.Join(parts, ", ")
}

// queueBudgetText is as in "20 a DAY".
func queueBudgetText(b *stintv1.QueueBudget) string {
	switch {
	case b.GetLimitUsd() == 0 && (b == nil || b.LimitUsd == nil):
		return none
	case b.GetPeriod() <= stintv1.BudgetPeriod_BUDGET_PERIOD_TOTAL:
		return usd(b.LimitUsd) + " in TOTAL"
	default:
		return usd(b.LimitUsd) + " a " + bare(periodPrefix, b.GetPeriod())
	}
}
