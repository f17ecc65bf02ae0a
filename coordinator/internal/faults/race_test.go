package faults

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// act is one side of a race about the task "a" under its first lease. It gives the answer.
type act struct {
	name   string
	writes bool // a batch comes of it if it is first
	do     func(l *life, lease string) (string, error)
}

var (
	succeed = act{"success", true, func(l *life, lease string) (string, error) { return ack(l, success(lease, "one")) }}
	differ  = act{"other success", true, func(l *life, lease string) (string, error) { return ack(l, success(lease, "two")) }}
	failed  = act{"failure", true, func(l *life, lease string) (string, error) { return ack(l, failure(lease, queue.ClassTaskFailed)) }}
	retried = act{"failure to retry", true, func(l *life, lease string) (string, error) { return ack(l, failure(lease, queue.ClassAuth)) }}
	cancel  = act{"cancel", true, func(l *life, _ string) (string, error) {
		n, err := l.Cancel(l.t.Context(), []queue.Choice{{ID: "a", Run: 1}}, "no longer wanted")
		return fmt.Sprint("changed ", n), err
	}}
	extend = act{"extend", false, func(l *life, lease string) (string, error) {
		x, err := l.Extend(l.t.Context(), []engine.Extension{{LeaseID: lease}})
		if err != nil {
			return "", err
		}
		if x[0].Extended {
			return "extended", nil
		}
		return "lost " + ends[x[0].End], nil
	}}
	release = act{"release", true, func(l *life, lease string) (string, error) {
		x, err := l.Release(l.t.Context(), []engine.Release{{LeaseID: lease}})
		if err != nil {
			return "", err
		}
		if x[0].Released {
			return "released", nil
		}
		return "lost " + ends[x[0].End], nil
	}}
	// It races half a lease after the grant.
	expiry = act{"expiry", true, func(*life, string) (string, error) {
		time.Sleep(unaryLength / 2)
		synctest.Wait()
		return "", nil
	}}
)

var ends = map[queue.EndReason]string{
	queue.EndExpired: "EXPIRED", queue.EndUnconfirmed: "UNCONFIRMED", queue.EndReleased: "RELEASED",
	queue.EndTimedOut: "TIMED_OUT", queue.EndReplaced: "REPLACED", queue.EndCancelled: "CANCELLED",
	queue.EndSuperseded: "SUPERSEDED", queue.EndTerminal: "TERMINAL", queue.EndReported: "REPORTED",
	queue.EndUnknown: "UNKNOWN",
}

var ackNames = map[queue.Ack]string{
	queue.AckRecorded: "recorded", queue.AckDuplicate: "duplicate", queue.AckLeaseLost: "lost", queue.AckInvalid: "invalid",
}

func ack(l *life, r engine.Report) (string, error) {
	acks, err := l.Report(l.t.Context(), []engine.Report{r})
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(ackNames[acks[0].Ack] + " " + ends[acks[0].End]), nil
}

// races are all pairs, each in the order in which they become durable.
var races = []struct {
	first, second act
	answers       [2]string
	state         queue.State
}{
	{succeed, expiry, [2]string{"recorded", ""}, queue.Completed},
	{expiry, succeed, [2]string{"", "recorded"}, queue.Completed}, // L4: a late success wins
	{failed, expiry, [2]string{"recorded", ""}, queue.Failed},
	{expiry, failed, [2]string{"", "lost EXPIRED"}, queue.Ready},
	{retried, expiry, [2]string{"recorded", ""}, queue.Ready},
	{succeed, cancel, [2]string{"recorded", "changed 0"}, queue.Completed},
	{cancel, succeed, [2]string{"changed 1", "lost CANCELLED"}, queue.Cancelled}, // C5
	{failed, cancel, [2]string{"recorded", "changed 0"}, queue.Failed},
	{cancel, failed, [2]string{"changed 1", "lost CANCELLED"}, queue.Cancelled},
	{succeed, differ, [2]string{"recorded", "lost REPORTED"}, queue.Completed}, // C3
	{differ, succeed, [2]string{"recorded", "lost REPORTED"}, queue.Completed},
	{succeed, succeed, [2]string{"recorded", "duplicate"}, queue.Completed},
	{succeed, failed, [2]string{"recorded", "lost REPORTED"}, queue.Completed},
	{retried, succeed, [2]string{"recorded", "lost REPORTED"}, queue.Ready},
	{retried, retried, [2]string{"recorded", "duplicate"}, queue.Ready},
	{extend, expiry, [2]string{"extended", ""}, queue.Running},
	{expiry, extend, [2]string{"", "lost EXPIRED"}, queue.Ready},
	{extend, cancel, [2]string{"extended", "changed 1"}, queue.Cancelled},
	{cancel, extend, [2]string{"changed 1", "lost CANCELLED"}, queue.Cancelled},
	{succeed, extend, [2]string{"recorded", "lost REPORTED"}, queue.Completed},
	{release, succeed, [2]string{"released", "lost RELEASED"}, queue.Ready},
	{succeed, release, [2]string{"recorded", "lost REPORTED"}, queue.Completed},
	{release, failed, [2]string{"released", "lost RELEASED"}, queue.Ready},
	{failed, release, [2]string{"recorded", "lost REPORTED"}, queue.Failed},
	{release, expiry, [2]string{"released", ""}, queue.Ready},
	{expiry, release, [2]string{"", "lost EXPIRED"}, queue.Ready},
	{release, release, [2]string{"released", "released"}, queue.Ready}, // C4
	{cancel, release, [2]string{"changed 1", "lost CANCELLED"}, queue.Cancelled},
	{cancel, expiry, [2]string{"changed 1", ""}, queue.Cancelled},
	{expiry, cancel, [2]string{"", "changed 1"}, queue.Cancelled},
	{cancel, cancel, [2]string{"changed 1", "changed 0"}, queue.Cancelled},
}

// L3, L4, L10, C1, C3, C4: of two that race the one whose change is stepped first wins, and the
// other gets the documented answer: while the change is not yet visible, while it is visible and
// not durable, and after it was forgotten.
func TestRacesGoBothWays(t *testing.T) {
	for _, r := range races {
		for _, at := range []point{stepped, applied, forgotten} {
			if at != forgotten && !r.first.writes {
				continue // nothing of it is ever held
			}
			t.Run(fmt.Sprintf("%s before %s, %s", r.first.name, r.second.name, at), func(t *testing.T) {
				bubble(t, func(t *testing.T, l *life) {
					l.submit(spec("a"))
					lease := l.one("agent").ID
					time.Sleep(unaryLength / 2)
					got := race(t, l, at, lease, r.first, r.second)
					if got != r.answers {
						t.Errorf("answers %q, want %q", got, r.answers)
					}
					task := l.task("a")
					if task.Status.State != r.state {
						t.Errorf("the task is %v, want %v", task.Status.State, r.state)
					}
					if text := string(task.Result); r.state == queue.Completed && text != "one" && (r.first.name != differ.name || text != "two") {
						t.Errorf("C2: the result is %q", text)
					}
					wantHistory(t, l.history())
				})
			})
		}
	}
}

func race(t *testing.T, l *life, at point, lease string, first, second act) [2]string {
	t.Helper()
	if at == forgotten {
		var answers [2]string
		for i, a := range []act{first, second} {
			var err error
			if answers[i], err = a.do(l, lease); err != nil {
				t.Error(err)
			}
			l.settle()
		}
		return answers
	}
	open := l.gate.hold(at)
	one := begin(t, func() (string, error) { return first.do(l, lease) })
	if first.name == expiry.name {
		<-one.done
	} else {
		one.waits(first.name)
	}
	two := begin(t, func() (string, error) { return second.do(l, lease) })
	if second.name == expiry.name {
		<-two.done
	} else {
		two.waits(second.name)
	}
	open()
	return [2]string{one.ends(first.name), two.ends(second.name)}
}

// L1, L10: what is left of an earlier attempt's clock does not end a later attempt, whichever of
// expiry and the next grant comes first.
func TestExpiryOfATaskGrantedAgain(t *testing.T) {
	bubble(t, func(t *testing.T, l *life) {
		// A lease that ends a little earlier keeps the machine from looking at the first one's end.
		l.submit(spec("earlier", func(s *queue.Spec) { s.Priority = -100 }))
		l.one("zero")
		time.Sleep(time.Millisecond)
		l.submit(spec("a"))
		first := l.one("one")
		time.Sleep(unaryLength - 2*time.Millisecond) // both end in a moment
		// The next agent waits already, so that it is granted in the very step of the release.
		waiting := begin(t, func() ([]engine.Lease, error) {
			return l.Acquire(t.Context(), engine.Acquire{Agent: "two", Max: 1, Length: unaryLength, Wait: unaryLength})
		})
		waiting.waits("acquire")
		if _, err := l.Release(t.Context(), []engine.Release{{LeaseID: first.ID}}); err != nil {
			t.Fatal(err)
		}
		second := waiting.ends("acquire")[0]
		time.Sleep(unaryLength / 2) // past the end of the first
		if got := l.task("a"); got.Status.State != queue.Running || got.Lease.Attempt != 2 {
			t.Errorf("granted before the expiry: %+v", got.Status)
		}
		time.Sleep(unaryLength / 2) // past the end of the second
		third := l.one("three")
		for _, late := range []engine.Lease{first, second} {
			if got, err := extend.do(l, late.ID); err != nil || got == "extended" {
				t.Errorf("L3: attempt %d: %s, %v", late.Attempt, got, err)
			}
		}
		time.Sleep(unaryLength / 2)
		if got := l.task("a"); got.Status.State != queue.Running || got.Lease.Attempt != 3 {
			t.Errorf("granted after the expiry: %+v", got.Status)
		}
		if got := l.report(failure(second.ID, queue.ClassTaskFailed)); got.Ack != queue.AckLeaseLost || got.End != queue.EndExpired {
			t.Errorf("L3: failure of a lost attempt: %+v", got)
		}
		if got := l.report(success(third.ID, "three")); got.Ack != queue.AckRecorded {
			t.Errorf("the live attempt: %+v", got)
		}
		wantHistory(t, l.history())
	})
}

// L4: the late success of an attempt that was lost ends the live one, and only the first of two
// late successes counts, whichever of the attempts it is of.
func TestLateSuccessAgainstTheLiveLease(t *testing.T) {
	for _, at := range []point{stepped, applied} {
		for _, lateFirst := range []bool{true, false} {
			t.Run(fmt.Sprint(at, " late first: ", lateFirst), func(t *testing.T) {
				bubble(t, func(t *testing.T, l *life) {
					l.submit(spec("a"))
					late := l.one("one")
					time.Sleep(unaryLength)
					live := l.one("two")
					order, want := []engine.Lease{live, late}, "lost SUPERSEDED"
					if lateFirst {
						order = []engine.Lease{late, live}
					}
					open := l.gate.hold(at)
					one := begin(t, func() (string, error) { return ack(l, success(order[0].ID, "first")) })
					one.waits("first")
					two := begin(t, func() (string, error) { return ack(l, success(order[1].ID, "second")) })
					two.waits("second")
					open()
					if a, b := one.ends("first"), two.ends("second"); a != "recorded" || b != want {
						t.Errorf("answers %q and %q, want recorded and %q", a, b, want)
					}
					if got := l.task("a"); string(got.Result) != "first" || got.Status.State != queue.Completed {
						t.Errorf("C2: %+v with %q", got.Status, got.Result)
					}
					wantHistory(t, l.history())
				})
			})
		}
	}
}
