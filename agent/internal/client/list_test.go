package client

import (
	"strconv"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

func page(n int, token string) reply {
	m := &stintv1.ListTasksResponse{NextPageToken: token}
	for i := range n {
		m.Tasks = append(m.Tasks, ready("t"+strconv.Itoa(i)))
	}
	return ok(m)
}

// List asks page after page, with the token and what is still wanted, until the limit or the end; a short page isn't
// the end.
func TestListPages(t *testing.T) {
	for name, tc := range map[string]struct {
		limit int
		pages []reply
		sizes []int32
		rows  int
	}{
		"limit within a page": {5, []reply{page(5, "2")}, []int32{5}, 5},
		"short pages":         {5, []reply{page(2, "2"), page(0, "3"), page(3, "4")}, []int32{5, 3, 3}, 5},
		"end before limit":    {100, []reply{page(2, "2"), page(1, "")}, []int32{100, 98}, 3},
		"limit over a page":   {1500, []reply{page(1000, "2"), page(500, "3")}, []int32{1000, 500}, 1500},
		"all":                 {0, []reply{page(1000, "2"), page(10, "3"), page(2, "")}, []int32{1000, 1000, 990}, 1012},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t, map[string][]reply{"ListTasks": tc.pages}, nil)
			if err := b.List(t.Context(), Filter{}, tc.limit); err != nil {
				t.Fatal(err)
			}
			reqs := asked[*stintv1.ListTasksRequest](b)
			if len(reqs) != len(tc.sizes) {
				t.Fatalf("%d calls, want %d", len(reqs), len(tc.sizes))
			}
			token := ""
			for i, req := range reqs {
				if req.GetPageSize() != tc.sizes[i] || req.GetPageToken() != token || req.GetView() != stintv1.TaskView_TASK_VIEW_BASIC {
					t.Errorf("call %d: asked %v, want page_size %d, token %q, view BASIC", i, req, tc.sizes[i], token)
				}
				token = strconv.Itoa(i + 2)
			}
			if rows := strings.Count(b.out.String(), "\n") - 1; rows != tc.rows {
				t.Errorf("%d rows, want %d", rows, tc.rows)
			}
			if headers := strings.Count(b.out.String(), "TASK "); headers != 1 {
				t.Errorf("%d headers, want 1", headers)
			}
		})
	}
}

// JSON is the whole task, so it asks for the whole task.
func TestListJSONAsksForAll(t *testing.T) {
	b := newBench(t, map[string][]reply{"ListTasks": {page(1, "")}}, func(o *Options) { o.JSON = true })
	if err := b.List(t.Context(), Filter{}, 1); err != nil {
		t.Fatal(err)
	}
	if req := asked[*stintv1.ListTasksRequest](b)[0]; req.GetView() != stintv1.TaskView_TASK_VIEW_FULL {
		t.Errorf("asked %v, want view FULL", req)
	}
	if err := b.List(t.Context(), Filter{}, -1); err == nil || !strings.Contains(err.Error(), "limit -1 is negative") {
		t.Errorf("limit -1: got %v", err)
	}
}
