package client

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/structpb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// Get shows everything known of one task.
func (c *Client) Get(ctx context.Context, id string) error {
	resp, err := call(ctx, c, "get task "+id, c.tasks.GetTask, &stintv1.GetTaskRequest{TaskId: id})
	if err != nil {
		return err
	}
	if c.out.json {
		return c.out.message(resp.GetTask())
	}
	return c.showTask(resp.GetTask())
}

// showTask writes a sheet: the task, its status, its attempts and its result.
func (c *Client) showTask(t *stintv1.Task) error {
	if err := c.out.table(append(specRows(t), statusRows(t.GetStatus())...)...); err != nil {
		return err
	}
	if len(t.GetStatus().GetAttempts()) > 0 {
		if err := c.out.text("\nAttempts\n"); err != nil {
			return err
		}
		if err := c.out.table(attemptRows(t.GetStatus().GetAttempts())...); err != nil {
			return err
		}
	}
	if t.GetStatus().GetResult() == nil {
		return nil
	}
	return c.showResult(t.GetStatus().GetResult())
}

func specRows(t *stintv1.Task) [][]string {
	return filled([][]string{
		{"Task", t.GetId()},
		{"Queue", t.GetQueue()},
		{"Instruction", oneLine(t.GetInstruction())},
		{"Parameters", structText(t.GetParameters())},
		{"Depends on", strings.Join(t.GetDependsOn(), ", ")},
		{"If one of them fails", bare(dependencyPrefix, t.GetOnDependencyFailure())},
		{"Budget USD", budgetText(t.GetBudget())},
		{"Intensity", bare(intensityPrefix, t.GetIntensity())},
		{"Priority", numberText(t.GetPriority())},
		{"Labels", labelText(t.GetLabels())},
		{"Requires", strings.Join(t.GetRequires(), "; ")},
		{"Fairness key", oneLine(t.GetFairnessKey())},
		{"Concurrency key", oneLine(t.GetConcurrencyKey())},
		{"Not before", clock(t.GetNotBefore())},
		{"Expires", clock(t.GetExpireTime())},
		{"Attempt timeout", span(t.GetAttemptTimeout())},
		{"Max attempts", numberText(t.GetRetry().GetMaxAttempts())},
	})
}

func statusRows(s *stintv1.TaskStatus) [][]string {
	rows := [][]string{
		{"State", fmt.Sprintf("%s (run %d)", bare(statePrefix, s.GetState()), s.GetRun())},
		{"Created", clock(s.GetCreateTime())},
		{"Ready", clock(s.GetReadyTime())},
		{"Started", clock(s.GetStartTime())},
		{"Finished", clock(s.GetFinishTime())},
		{"Failures counted", numberText(s.GetCountedFailures())},
		{"Leases lost", numberText(s.GetLostLeases())},
	}
	rows = append(rows, []string{"Spent USD", amountText(s.GetSpentUsd())}, []string{"Reserved USD", amountText(s.GetReservedUsd())},
		[]string{"Failure", failureLine(s.GetFailure())})
	if l := s.GetLease(); l != nil {
		rows = append(rows, []string{"Lease", oneLine(fmt.Sprintf("attempt %d on %s until %s%s",
			l.GetAttempt(), l.GetAgentId(), clock(l.GetExpireTime()), progressText(l)))})
	}
	return filled(rows)
}

func attemptRows(attempts []*stintv1.Attempt) [][]string {
	rows := [][]string{{"ATTEMPT", "RUN", "AGENT", "STARTED", "FINISHED", "OUTCOME", "USD", "FAILURE"}}
	for _, a := range attempts {
		rows = append(rows, []string{
			strconv.Itoa(int(a.GetAttempt())),
			strconv.Itoa(int(a.GetRun())),
			cell(a.GetAgentId()),
			clock(a.GetStartTime()),
			clock(a.GetFinishTime()),
			bare(outcomePrefix, a.GetOutcome()),
			usd(a.BudgetUsedUsd),
			failureText(a.GetFailure()),
		})
	}
	return rows
}

func (c *Client) showResult(r *stintv1.Result) error {
	rows := filled([][]string{
		{"Model", oneLine(r.GetModel())},
		{"Used USD", usd(r.BudgetUsedUsd)},
		{"Usage", structText(r.GetUsage())},
		{"Output", structText(r.GetOutput())},
	})
	if err := c.out.text("\nResult\n"); err != nil {
		return err
	}
	if err := c.out.table(rows...); err != nil {
		return err
	}
	if r.GetText() == "" {
		return nil
	}
	return c.out.text("\n" + strings.TrimRight(visible(r.GetText()), "\n") + "\n")
}

// filled drops the rows whose second cell is empty.
func filled(rows [][]string) [][]string {
	return slices.DeleteFunc(rows, func(row []string) bool { return row[1] == "" })
}

func labelText(labels map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		pairs = append(pairs, key+"="+labels[key])
	}
	return strings.Join(pairs, ", ")
}

func budgetText(b *stintv1.Budget) string {
	if b == nil {
		return ""
	}
	return usd(b.MinUsd) + " to " + usd(b.MaxUsd)
}

// structText is s as one line of JSON with sorted keys.
func structText(s *structpb.Struct) string {
	if s == nil {
		return ""
	}
	line, err := compact(s)
	if err != nil {
		return "(" + oneLine(err.Error()) + ")"
	}
	return oneLine(line)
}

// usd is an amount to the micro-dollar, without needless zeros; "" if unset.
func usd(amount *float64) string {
	if amount == nil {
		return ""
	}
	return strconv.FormatFloat(*amount, 'f', -1, 64)
}

// amountText is "" for 0, where nothing was paid.
func amountText(amount float64) string {
	if amount == 0 {
		return ""
	}
	return usd(&amount)
}

// numberText is "" for 0, which stands for unset.
func numberText(n int32) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}
