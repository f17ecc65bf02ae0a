package server

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Every reason of the contract leaves with its code, and repeats are asked for where it says so.
func TestEveryReasonIsMapped(t *testing.T) {
	retried := []string{
		"AGENT_ID_IN_USE", "QUEUE_FULL", "DISK_FULL", "TOO_MANY_LABEL_SETS", "TOO_MANY_WAITS",
		"WATCHER_TOO_SLOW", "SESSION_TOO_SLOW",
	}
	for number, name := range stintv1.ErrorReason_name {
		reason := stintv1.ErrorReason(number)
		row, ok := reasons[reason]
		if reason == stintv1.ErrorReason_ERROR_REASON_UNSPECIFIED {
			if ok {
				t.Errorf("%s has a row", name)
			}
			continue
		}
		if !ok || row.code == codes.OK || row.code == codes.Unknown || row.text == "" {
			t.Errorf("%s has no full row", name)
			continue
		}
		got := read(t, (&refusal{reason: reason, names: []string{"x"}}).status().Err())
		if got.reason != reasonName(reason) || got.code != row.code {
			t.Errorf("%s leaves as %s with reason %q", name, got.code, got.reason)
		}
		if want := slices.Contains(retried, got.reason); got.retry != want {
			t.Errorf("%s: RetryInfo is %v, want %v", name, got.retry, want)
		}
		if strings.Contains(got.status.Message(), "%") {
			t.Errorf("%s says %q", name, got.status.Message())
		}
	}
}

// Every reason that the core or the engine can give is one of the contract.
func TestEveryCoreReasonIsOfTheContract(t *testing.T) {
	found := 0
	for _, file := range []string{"../queue/error.go", "../engine/errors.go"} {
		for name, value := range reasonConstants(t, file) {
			found++
			r, ours := judge(fmt.Errorf("wrapped: %w", &queue.Error{Reason: queue.Reason(value)}))
			if !ours || reasonName(r.reason) != value {
				t.Errorf("%s (%s) leaves as %v", name, value, r)
			}
		}
	}
	if found < 16 {
		t.Errorf("only %d reasons found in the sources", found)
	}
}

// reasonConstants reads the constants of type Reason out of a source file.
func reasonConstants(t *testing.T, file string) map[string]string {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Type == nil || !strings.HasSuffix(typeName(spec.Type), "Reason") {
			return true
		}
		for i, v := range spec.Values {
			if lit, ok := v.(*ast.BasicLit); ok {
				value, err := strconv.Unquote(lit.Value)
				if err != nil {
					t.Fatal(err)
				}
				out[spec.Names[i].Name] = value
			}
		}
		return true
	})
	return out
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.SelectorExpr:
		return e.Sel.Name
	}
	return ""
}

func TestErrorsOfTheEngineLeaveAs(t *testing.T) {
	for _, c := range []struct {
		err    error
		code   codes.Code
		reason string
	}{
		{engine.ErrStopping, codes.Unavailable, "SHUTTING_DOWN"},
		{engine.ErrReplaced, codes.Aborted, "SESSION_REPLACED"},
		{engine.ErrTooSlow, codes.ResourceExhausted, "SESSION_TOO_SLOW"},
		{engine.ErrFailed, codes.Internal, "INTERNAL"},
		{&engine.TooSlowError{ResumeAfter: 7}, codes.ResourceExhausted, "WATCHER_TOO_SLOW"},
		{&engine.SequenceError{Reason: engine.SequencePruned, Oldest: 5, Newest: 9}, codes.OutOfRange, "SEQUENCE_PRUNED"},
		{&engine.SequenceError{Reason: engine.SequenceAhead, Oldest: 5, Newest: 9}, codes.OutOfRange, "SEQUENCE_AHEAD"},
		{ledger.ErrCursor, codes.InvalidArgument, "PAGE_TOKEN_INVALID"},
		{errors.New("disk on fire at /secret"), codes.Internal, "INTERNAL"},
		{&queue.Error{Reason: "NEVER_HEARD_OF"}, codes.Internal, "INTERNAL"},
		{context.Canceled, codes.Canceled, ""},
		{context.DeadlineExceeded, codes.DeadlineExceeded, ""},
		{status.Error(codes.Unimplemented, "no"), codes.Unimplemented, ""},
	} {
		_, out := answer(fmt.Errorf("wrapped: %w", c.err))
		got := read(t, out)
		if got.code != c.code || got.reason != c.reason {
			t.Errorf("%v leaves as %s %q, want %s %q", c.err, got.code, got.reason, c.code, c.reason)
		}
		if strings.Contains(got.status.Message(), "secret") {
			t.Errorf("the text of an unexpected error leaves: %q", got.status.Message())
		}
	}
}

// An error has to fit into headers, whatever it is about.
func TestErrorsStaySmall(t *testing.T) {
	names := make([]string, 100_000)
	fields := make([]fault, 100_000)
	for i := range names {
		names[i] = strings.Repeat("n", 128)
		fields[i] = fault{strings.Repeat("p", 1000), strings.Repeat("t", 1000)}
	}
	for _, r := range []*refusal{
		ofCore(&queue.Error{Reason: queue.DependencyNotFound, Names: names, Detail: "submit them"}),
		ofCore(&queue.Error{Reason: queue.DependencyCycle, Names: names, Detail: strings.Repeat("x → ", 100_000)}),
		invalidFields(fields),
	} {
		if n := proto.Size(r.status().Proto()); n > 6<<10 {
			t.Errorf("%s leaves with %d bytes", reasonName(r.reason), n)
		}
	}
}

func TestCoreErrorsNameWhatTheyAreAbout(t *testing.T) {
	got := ofCore(&queue.Error{Reason: queue.DependencyNotFound, Names: []string{"p1", "p2"}, Detail: "submit those first"})
	if want := `"p1", "p2": submit those first`; got.status().Message() != want {
		t.Errorf("got %q, want %q", got.status().Message(), want)
	}
	got = ofCore(&queue.Error{Reason: queue.TaskNotFound, Names: []string{"a"}, Detail: "no such task"}) // "a" is in the text by chance
	if got.text != `"a": no such task` {
		t.Errorf("text %q", got.text)
	}
	got = ofCore(&queue.Error{Reason: queue.DependencyCycle, Names: []string{"a", "b"}, Detail: "circle: a → b → a"})
	if got.text != "circle: a → b → a" {
		t.Errorf("text %q", got.text)
	}
	got = ofCore(&queue.Error{Reason: queue.FieldInvalid, Field: "tasks[3].expire_time", Detail: "must lie in the future"})
	if d := read(t, got.status().Err()); !slices.Equal(d.fields, []string{"tasks[3].expire_time"}) {
		t.Errorf("fields %q", d.fields)
	}
}
