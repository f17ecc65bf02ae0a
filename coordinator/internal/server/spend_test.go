package server

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Spend comes in pages that fit together; a token is of one question only.
func TestSpendPages(t *testing.T) {
	f := newFake()
	var rows []queue.SpendRecord
	for i := range 5 {
		rows = append(rows, queue.SpendRecord{
			Queue: "q", By: queue.ByAgent, Name: fmt.Sprintf("a%d", i), Spent: queue.Micros(i) * 500_000, Attempts: int64(i),
		})
	}
	f.spend = func(name string, by queue.SpendBy, after queue.SpendKey, limit int) ([]queue.SpendRecord, error) {
		if name != "" && name != "q" || after.By != by {
			t.Errorf("asked for %q by %d after %+v", name, by, after)
		}
		var out []queue.SpendRecord
		for _, r := range rows {
			if by == r.By && (r.Queue > after.Queue || r.Name > after.Name) && len(out) < limit {
				out = append(out, r)
			}
		}
		return out, nil
	}
	conn, _ := served(t, f, time.Minute)
	queues := stintv1.NewQueueServiceClient(conn)
	ask := &stintv1.GetSpendRequest{Queue: "q", GroupBy: stintv1.SpendGroup_SPEND_GROUP_AGENT, PageSize: 2}
	var got []*stintv1.Spend
	pages := 0
	for pages == 0 || ask.PageToken != "" {
		page := must(queues.GetSpend(t.Context(), ask))(t)
		got, ask.PageToken = append(got, page.GetSpend()...), page.GetNextPageToken()
		pages++
	}
	if len(got) != 5 || pages != 3 || !proto.Equal(got[3], &stintv1.Spend{Queue: "q", AgentId: "a3", SpentUsd: 1.5, Attempts: 3}) {
		t.Errorf("%d pages of %v", pages, got)
	}
	ask.PageToken = must(queues.GetSpend(t.Context(), ask))(t).GetNextPageToken()
	for name, other := range map[string]*stintv1.GetSpendRequest{
		"another group": {Queue: "q", PageToken: ask.PageToken},
		"another queue": {GroupBy: ask.GroupBy, PageToken: ask.PageToken},
		"another call":  {Queue: "q", GroupBy: ask.GroupBy, PageToken: listQueues.token([]byte("q"))},
	} {
		if _, err := queues.GetSpend(t.Context(), other); read(t, err).reason != "PAGE_TOKEN_INVALID" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A sum is shown under what it was summed by.
func TestShownSpend(t *testing.T) {
	for by, want := range map[queue.SpendBy]*stintv1.Spend{
		queue.ByQueue:       {Queue: "q", SpentUsd: 0.25, Attempts: 2},
		queue.ByAgent:       {Queue: "q", AgentId: "n", SpentUsd: 0.25, Attempts: 2},
		queue.ByFairnessKey: {Queue: "q", FairnessKey: "n", SpentUsd: 0.25, Attempts: 2},
	} {
		r := queue.SpendRecord{Queue: "q", By: by, Spent: 250_000, Attempts: 2}
		if by != queue.ByQueue {
			r.Name = "n"
		}
		if got := shownSpend(&r); !proto.Equal(got, want) {
			t.Errorf("%d: %v, want %v", by, got, want)
		}
	}
}
