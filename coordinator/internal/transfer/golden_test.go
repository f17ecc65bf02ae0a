package transfer

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
	"github.com/stint-dev/stint/coordinator/internal/server"
)

var update = flag.Bool("update", false, "write want.txt anew")

// noon is the time of imports in tests.
var noon = queue.Instant(time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC).UnixMicro())

func admission(t testing.TB) *server.Admission {
	t.Helper()
	a, err := server.NewAdmission()
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// sample loads the files of a folder of testdata, in the order of their names.
func sample(t testing.TB, name string) *Plan {
	t.Helper()
	t.Chdir(filepath.Join("testdata", name))
	names, err := filepath.Glob("*.*")
	if err != nil {
		t.Fatal(err)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == "want.txt" })
	return Load(t.Context(), names, admission(t), noon)
}

// Every shape of file, and every fault, with all that people are told of it.
func TestSamplesAreReadAndFaultsAreTold(t *testing.T) {
	folders, err := os.ReadDir("testdata")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range folders {
		if !f.IsDir() || f.Name() == "fuzz" {
			continue
		}
		t.Run(f.Name(), func(t *testing.T) {
			p := sample(t, f.Name())
			if err := p.Check(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			compare(t, told(t, p))
			if bad := strings.HasPrefix(f.Name(), "bad_"); bad != (p.Err() != nil) {
				t.Errorf("faulty is %v, want %v", !bad, bad)
			}
		})
	}
}

func compare(t *testing.T, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile("want.txt", []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("want.txt")
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// told is all that is shown of a plan, and the tasks in it.
func told(t *testing.T, p *Plan) string {
	t.Helper()
	var b strings.Builder
	if err := p.Notes(&b); err != nil {
		t.Fatal(err)
	}
	if err := p.Err(); err != nil {
		var f *Faults
		if !errors.As(err, &f) {
			t.Fatalf("error %T, want *Faults", err)
		}
		return b.String() + err.Error() + "\n"
	}
	fmt.Fprintf(&b, "outcome: %s\n", p.Outcome())
	for i := range p.tasks {
		b.WriteString("\n" + shownPlanned(t, &p.tasks[i]))
	}
	return b.String()
}

func shownPlanned(t *testing.T, x *planned) string {
	t.Helper()
	task := &stintv1.Task{}
	if err := proto.Unmarshal(x.Spec.Payload, task); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s\n", x.Spec.ID, stintv1.TaskState(x.State))
	put := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "  %s "+format+"\n", append([]any{name}, args...)...)
	}
	put("instruction", "%q", task.GetInstruction())
	put("depends on", "%q %s", task.GetDependsOn(), task.GetOnDependencyFailure())
	put("budget", "%v-%v %s priority %d attempts %d", task.GetBudget().GetMinUsd(), task.GetBudget().GetMaxUsd(),
		task.GetIntensity(), task.GetPriority(), task.GetRetry().GetMaxAttempts())
	if task.Parameters != nil {
		put("parameters", "%v", task.Parameters.AsMap())
	}
	if x.Agent != "" {
		put("agent", "%s", x.Agent)
	}
	if x.Start != 0 || x.Finish != 0 {
		put("time", "%s - %s", clockTime(x.Start), clockTime(x.Finish))
	}
	switch x.State {
	case queue.Completed:
		r := &stintv1.Result{}
		if err := proto.Unmarshal(x.Result, r); err != nil {
			t.Fatal(err)
		}
		put("result", "%q model %q", r.GetText(), r.GetModel())
	case queue.Failed:
		put("failure", "%s %q", stintv1.FailureClass(x.Failure.Class), x.Failure.Message)
	}
	return b.String()
}

func clockTime(i queue.Instant) string {
	if i == 0 {
		return "?"
	}
	return time.UnixMicro(int64(i)).UTC().Format(fixedTime)
}
