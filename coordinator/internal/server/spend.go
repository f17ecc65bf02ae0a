package server

import (
	"bytes"
	"context"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

func (s *queueService) GetSpend(ctx context.Context, r *stintv1.GetSpendRequest) (*stintv1.GetSpendResponse, error) {
	by := queue.SpendBy(max(r.GetGroupBy(), stintv1.SpendGroup_SPEND_GROUP_QUEUE))
	after, err := spendAfter(r.GetPageToken(), r.GetQueue(), by)
	if err != nil {
		return nil, err
	}
	size := pageSize(r.GetPageSize())
	rows, err := s.engine.Spend(ctx, r.GetQueue(), by, after, size)
	if err != nil {
		return nil, err
	}
	out := &stintv1.GetSpendResponse{}
	for i := range rows {
		out.Spend = append(out.Spend, shownSpend(&rows[i]))
	}
	n := fitting(out.Spend)
	if out.Spend = out.Spend[:n]; n > 0 && (n < len(rows) || n >= size) {
		out.NextPageToken = spendToken(r.GetQueue(), rows[n-1].Key())
	}
	return out, nil
}

// between separates the parts of a cursor; no id or key has it.
var between = []byte{'\n'}

// spendToken remembers the row that a page ended with, and what was asked for.
func spendToken(asked string, last queue.SpendKey) string {
	parts := [][]byte{{byte(last.By)}, []byte(asked), []byte(last.Queue), []byte(last.Name)}
	return listSpend.token(bytes.Join(parts, between))
}

func spendAfter(token, asked string, by queue.SpendBy) (queue.SpendKey, error) {
	cursor, err := listSpend.cursor(token)
	if err != nil || cursor == nil {
		return queue.SpendKey{By: by}, err
	}
	parts := bytes.Split(cursor, between)
	if len(parts) != 4 || !bytes.Equal(parts[0], []byte{byte(by)}) || string(parts[1]) != asked {
		return queue.SpendKey{}, badToken()
	}
	return queue.SpendKey{By: by, Queue: string(parts[2]), Name: string(parts[3])}, nil
}

func shownSpend(r *queue.SpendRecord) *stintv1.Spend {
	out := &stintv1.Spend{Queue: r.Queue, SpentUsd: usd(r.Spent), Attempts: r.Attempts}
	switch r.By {
	case queue.ByAgent:
		out.AgentId = r.Name
	case queue.ByFairnessKey:
		out.FairnessKey = r.Name
	}
	return out
}
