package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/memledger"
	"github.com/stint-dev/stint/coordinator/internal/ledger/pebbleledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

var quiet = slog.New(slog.DiscardHandler)

// write imports a plan and fails the test if it has faults.
func write(t *testing.T, p *Plan, l ledger.Ledger) {
	t.Helper()
	led(t, l, func() {
		if err := p.Check(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	})
	if err := p.Write(t.Context(), l, quiet); err != nil {
		t.Fatal(err)
	}
}

// led runs f while the test leads the ledger.
func led(t *testing.T, l ledger.Ledger, f func()) {
	t.Helper()
	if _, err := l.Lead(t.Context()); err != nil {
		t.Fatal(err)
	}
	f()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// states gives the state of every task in a ledger.
func states(t *testing.T, l ledger.Ledger) map[string]queue.State {
	t.Helper()
	out := map[string]queue.State{}
	led(t, l, func() {
		page, err := l.List(t.Context(), ledger.Query{Limit: 1000, Examine: 1000})
		if err != nil || page.Cursor != nil {
			t.Fatal(err, page.Cursor)
		}
		for _, x := range page.Tasks {
			if x.Live != nil {
				out[x.Spec.ID] = x.Live.Status.State
			} else {
				out[x.Spec.ID] = x.Terminal.Status.State
			}
		}
	})
	return out
}

func TestWorkerPyQueueAndExecutionLogAreImported(t *testing.T) {
	p := sample(t, "queue_and_log")
	l := memledger.New()
	write(t, p, l)
	want := map[string]queue.State{
		"outline": queue.Completed, "sensors": queue.Ready, "siting": queue.Ready,
		"wiring": queue.Blocked, "budget_table": queue.Failed, "guide": queue.Blocked,
	}
	if got := states(t, l); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// What was done stays done, with who did it, when, and what came of it.
func TestImportedTerminalTasksKeepResultFailureAgentAndTimes(t *testing.T) {
	p := sample(t, "queue_and_log")
	l := memledger.New()
	write(t, p, l)
	led(t, l, func() {
		found, err := l.Get(t.Context(), ledger.Keys{IDs: []string{"outline", "budget_table"}, Result: true})
		if err != nil {
			t.Fatal(err)
		}
		done, failed := found.IDs[0].Terminal, found.IDs[1].Terminal
		if !strings.Contains(string(done.Result), "1. Sensors  2. Siting") {
			t.Errorf("result %q", done.Result)
		}
		if got := clockTime(done.Status.Start) + " " + clockTime(done.Status.Finish) + " " + done.Final.Agent; got !=
			"2026-01-12T08:00:01.512340Z 2026-01-12T08:00:44.099000Z worker_3fa91c02" {
			t.Errorf("outline was %s", got)
		}
		if f := failed.Failure; f.Class != queue.ClassTaskFailed || !strings.HasPrefix(f.Message, "API connection error") {
			t.Errorf("failure %+v", f)
		}
	})
}

func TestWorkerPyChildOfFailedTaskWaits(t *testing.T) {
	p := sample(t, "log_by_task")
	l := memledger.New()
	write(t, p, l)
	if got := states(t, l)["merge"]; got != queue.Blocked {
		t.Errorf("merge is %v behind a failed task, want BLOCKED", got)
	}
}

func TestImportingTwiceAddsNothing(t *testing.T) {
	l := memledger.New()
	p := sample(t, "done_lists")
	write(t, p, l)
	if got := p.Outcome(); !strings.HasSuffix(got, "0 already there") {
		t.Errorf("first: %s", got)
	}
	again := sampleHere(t)
	write(t, again, l)
	if got, want := again.Outcome(), "0 tasks, 6 already there"; got != want {
		t.Errorf("second: %s, want %s", got, want)
	}
	if n := len(states(t, l)); n != 6 {
		t.Errorf("%d tasks, want 6", n)
	}
}

// sampleHere loads the sample that the test has loaded before.
func sampleHere(t *testing.T) *Plan {
	t.Helper()
	return Load(t.Context(), []string{"queue.json"}, admission(t), noon)
}

func TestImportIntoPebbleOutlivesTheProcess(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	p := sample(t, "queue_and_log")
	if err := p.Check(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	open := func() ledger.Ledger { return pebbleledger.New(pebbleledger.Options{Dir: dir, Logger: quiet}) }
	if err := p.Write(t.Context(), open(), quiet); err != nil {
		t.Fatal(err)
	}
	if n := len(states(t, open())); n != 6 {
		t.Errorf("%d tasks, want 6", n)
	}
}

func TestImportRefusesALedgerThatSomebodyLeads(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	open := func() ledger.Ledger { return pebbleledger.New(pebbleledger.Options{Dir: dir, Logger: quiet}) }
	led(t, open(), func() {
		p := sample(t, "queue_and_log")
		if err := p.Write(t.Context(), open(), quiet); !errors.Is(err, ledger.ErrLocked) {
			t.Errorf("error %v, want ErrLocked", err)
		}
	})
}

// Any fault: the ledger is not even opened, and the files are as they were.
func TestWorkerPyCorruptQueueIsNamedErrorAndNothingImported(t *testing.T) {
	for _, name := range []string{"bad_comma", "bad_truncated", "bad_empty", "bad_encoding", "bad_types", "bad_links"} {
		t.Run(name, func(t *testing.T) {
			p := sample(t, name)
			before := digestOf(t, "queue.json")
			err := p.Write(t.Context(), neverLed{}, quiet)
			var f *Faults
			if !errors.As(err, &f) || len(f.List) == 0 || f.List[0].At.File == "" {
				t.Fatalf("error %v, want faults that name the file", err)
			}
			if digestOf(t, "queue.json") != before {
				t.Error("the source was changed")
			}
		})
	}
}

func digestOf(t *testing.T, file string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// neverLed is a ledger that must not be opened.
type neverLed struct{ ledger.Ledger }

func (neverLed) Lead(context.Context) (ledger.Identity, error) { panic("led in spite of faults") }

func TestDependencyMayStandInTheLedger(t *testing.T) {
	l := memledger.New()
	load := func(text string) *Plan {
		file := filepath.Join(t.TempDir(), "queue.json")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(t.Context(), []string{file}, admission(t), noon)
	}
	write(t, load(`{"tasks": [{"id": "a", "prompt": "One"}]}`), l)
	child := load(`{"tasks": [{"id": "b", "prompt": "Two", "depends_on": ["a"]}]}`)
	write(t, child, l)
	if got := states(t, l)["b"]; got != queue.Blocked {
		t.Errorf("b is %v, want BLOCKED", got)
	}

	other := load(`{"tasks": [{"id": "a", "prompt": "Other"}]}`)
	led(t, l, func() {
		if err := other.Check(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	})
	if err := other.Err(); err == nil || !strings.Contains(err.Error(), `the ledger has a task of this id with other content`) {
		t.Errorf("error %v", err)
	}
}

// A dry run tells of it too. What has ended, and what is there already, is not granted any more.
func TestTaskAboveTheBudgetOfItsQueueIsAFault(t *testing.T) {
	l := memledger.New()
	led(t, l, func() {
		out := queue.New(queue.Config{LeaseTTL: writerTTL, MaxLive: 9}).Step(queue.Input{Now: 1, Commands: []queue.Command{&queue.UpdateQueue{
			Queue: queue.DefaultQueue, Mask: queue.MaskBudget, Settings: queue.Settings{Budget: queue.Budget{Set: true, Limit: 200_000}},
		}}})
		wait, err := l.Commit(out.Batch)
		if err == nil {
			err = wait()
		}
		if err != nil {
			t.Fatal(err)
		}
	})
	file := filepath.Join(t.TempDir(), "queue.json")
	text := `{"tasks": [
 {"id": "cheap", "prompt": "One", "max_budget": 0.2},
 {"id": "done", "prompt": "Two", "max_budget": 9, "status": "completed"},
 {"id": "dear", "prompt": "Three", "max_budget": 0.25}
]}`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p := Load(t.Context(), []string{file}, admission(t), noon)
	led(t, l, func() {
		if err := p.Check(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	})
	want := file + `:4:2: tasks[2].max_budget is 0.25 USD, and the whole budget of queue "default" is 0.2 USD: lower it, or raise the queue's limit`
	var f *Faults
	if err := p.Err(); !errors.As(err, &f) || len(f.List) != 1 || f.List[0].String() != want {
		t.Errorf("error %v, want\n%s", err, want)
	}
}

func TestFaultsAreBoundedAndCounted(t *testing.T) {
	r := newReading()
	r.source("log.jsonl", strings.NewReader(strings.Repeat("[]\n", maxFaults+7)))
	var f *Faults
	if err := r.plan(admission(t), noon).Err(); !errors.As(err, &f) || len(f.List) != maxFaults || f.More != 7 {
		t.Fatalf("got %d and %d more", len(f.List), f.More)
	}
	if text := f.Error(); !strings.HasSuffix(text, "and 7 more") || !strings.Contains(text, "107 faults") {
		t.Errorf("told as %q", text)
	}
}

func TestReadingIsBounded(t *testing.T) {
	for name, text := range map[string]string{
		"line of more than":     `{"task_id": "a", "x": "` + strings.Repeat("x", maxLine) + `"}`,
		"nested more than":      strings.Repeat("[", maxDepth+1) + strings.Repeat("]", maxDepth+1),
		"values in one task":    "[" + strings.Repeat("0,", maxValues) + "0]",
		"exceeded max depth":    strings.Repeat("[", 20_000),
		"is not UTF-8 text":     "{\"a\": \"\xff\"}",
		"too large for a numbe": `{"id": "a", "prompt": "x", "y": 1e999}`,
	} {
		r := newReading()
		r.source("log.jsonl", strings.NewReader(text))
		if err := r.plan(admission(t), noon).Err(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The bound is that of one commit, so it holds for all tasks together, however they are told; a
// task and its record are one.
func TestTasksOfAllFilesAreBoundedTogether(t *testing.T) {
	for _, alike := range []bool{true, false} {
		r := newReading()
		r.source("log.jsonl", strings.NewReader(""))
		for i := range maxTasks / 2 {
			id := strconv.Itoa(i)
			r.define(&definition{task: &stintv1.Task{Id: id}})
			if !alike {
				id = "x" + id
			}
			r.log(&record{id: id})
		}
		full := r.full(Place{})
		if full == alike {
			t.Errorf("full is %v where it is %v that the records are of the tasks defined", full, alike)
		}
		if full && !strings.HasSuffix(r.faults.list[0].Text, inParts) {
			t.Errorf("told as %q, want what to do", r.faults.list[0].Text)
		}
	}
}

// Places are counted on from one another; however they are asked for, they are the same.
func TestPlacesAreTheSameInAnyOrder(t *testing.T) {
	data := []byte("ab\u00fcc\n\nd\u20ac\u20acef\n")
	at := []int{0, 5, 2, 6, 7, 15, 11, 0, 14, 4, 99, 1}
	one := &text{file: "f", data: data, first: 1}
	for _, i := range at {
		if got, want := one.place(i), (&text{file: "f", data: data, first: 1}).place(i); got != want {
			t.Errorf("offset %d is at %v, want %v", i, got, want)
		}
	}
}

func TestReadingEndsWhenNobodyWaitsForIt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	t.Chdir(filepath.Join("testdata", "queue_and_log"))
	p := Load(ctx, []string{"queue.json", "execution_log.jsonl"}, admission(t), noon)
	if err := p.Err(); err == nil || !strings.Contains(err.Error(), "reading ended here: context canceled") {
		t.Errorf("error %v", err)
	}
}
