package client

import (
	"context"
	"strconv"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// spendGroups are what costs can be summed by, as people type it.
var spendGroups = map[string]struct {
	group  stintv1.SpendGroup
	column string
	name   func(*stintv1.Spend) string
}{
	"queue": {group: stintv1.SpendGroup_SPEND_GROUP_QUEUE},
	"agent": {stintv1.SpendGroup_SPEND_GROUP_AGENT, "AGENT", (*stintv1.Spend).GetAgentId},
	"key":   {stintv1.SpendGroup_SPEND_GROUP_FAIRNESS_KEY, "FAIRNESS KEY", (*stintv1.Spend).GetFairnessKey},
}

// Spend shows what attempts have cost since the ledger was made: those of one queue, or with an empty name of all, summed by
// "queue", "agent" or "key", the fairness key.
func (c *Client) Spend(ctx context.Context, queue, by string) error {
	group, known := spendGroups[by]
	if !known {
		_, err := parseName("by", "", map[string]int32{"QUEUE": 1, "AGENT": 2, "KEY": 3}, by)
		return err
	}
	l := layout[*stintv1.Spend]{header: []string{"QUEUE"}}
	if group.name != nil {
		l.header = append(l.header, group.column)
	}
	l.header = append(l.header, "ATTEMPTS", "SPENT USD")
	l.row = func(s *stintv1.Spend) []string {
		row := []string{s.GetQueue()}
		if group.name != nil {
			row = append(row, cell(group.name(s)))
		}
		spent := s.GetSpentUsd()
		return append(row, strconv.FormatInt(s.GetAttempts(), 10), usd(&spent))
	}
	req := &stintv1.GetSpendRequest{Queue: queue, GroupBy: group.group, PageSize: pageSize}
	var spend []*stintv1.Spend
	for more := true; more; more = req.GetPageToken() != "" {
		resp, err := call(ctx, c, "get spend", c.queues.GetSpend, req)
		if err != nil {
			return err
		}
		spend = append(spend, resp.GetSpend()...)
		req.PageToken = resp.GetNextPageToken()
	}
	return show(c.out, l, spend...)
}
