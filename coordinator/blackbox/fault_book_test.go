package blackbox

import (
	"fmt"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// verdict is what a client knows of a call.
type verdict int

const (
	unknown verdict = iota // no answer: it may have been done or not
	done                   // answered OK
	refused                // answered with an error that says that nothing was done
)

// verdictOf judges an answer. Only an error of the coordinator's own making says that nothing was done.
func verdictOf(err error) verdict {
	switch status.Code(err) {
	case codes.OK:
		return done
	case codes.InvalidArgument, codes.FailedPrecondition, codes.AlreadyExists, codes.NotFound, codes.ResourceExhausted:
		return refused
	}
	return unknown
}

// success is a result that an agent of the test was told to be RECORDED.
type success struct {
	attempt int32
	nonce   string
}

// book is the history as the clients of a test know it. Any goroutine may use it.
type book struct {
	mu        sync.Mutex
	submitted map[string]*stintv1.Task // by id
	submits   map[string]verdict
	cancelled map[string]int           // cancels sent
	retried   map[string]int           // retries sent
	recorded  map[string]success       // by task, of an ack RECORDED
	failed    map[string]map[int32]int // by task and attempt: failures acknowledged RECORDED
	outcomes  map[string]int           // acks by outcome and reason
}

func newBook() *book {
	return &book{submitted: map[string]*stintv1.Task{}, submits: map[string]verdict{}, cancelled: map[string]int{},
		retried: map[string]int{}, recorded: map[string]success{}, failed: map[string]map[int32]int{}, outcomes: map[string]int{}}
}

// submit takes down an answer; of several answers to the same submit the surest counts.
func (b *book) submit(err error, tasks ...*stintv1.Task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, one := range tasks {
		b.submitted[one.GetId()] = one
		if b.submits[one.GetId()] != done {
			b.submits[one.GetId()] = verdictOf(err)
		}
	}
}

// change takes down that a cancel or retry was sent, whatever became of it.
func (b *book) change(sent map[string]int, id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	sent[id]++
}

// ack takes down what became of a report of an agent in the test.
func (b *book) ack(t *testing.T, lease *stintv1.Lease, report *stintv1.Report, ack *stintv1.ReportAck) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id, attempt := lease.GetTask().GetId(), lease.GetAttempt()
	key := ack.GetOutcome().String()
	if ack.GetOutcome() == stintv1.ReportOutcome_REPORT_OUTCOME_LEASE_LOST {
		key += " " + ack.GetReason().String()
	}
	b.outcomes[key]++
	switch taken := ack.GetOutcome() == stintv1.ReportOutcome_REPORT_OUTCOME_RECORDED ||
		ack.GetOutcome() == stintv1.ReportOutcome_REPORT_OUTCOME_DUPLICATE; {
	case !taken:
	case report.GetFailure() != nil:
		if b.failed[id] == nil {
			b.failed[id] = map[int32]int{}
		}
		b.failed[id][attempt]++
	default:
		now := success{attempt, report.GetResult().GetOutput().GetFields()["nonce"].GetStringValue()}
		if before, twice := b.recorded[id]; twice && before != now {
			t.Errorf("C2: %s: results of attempts %d and %d were both acknowledged as recorded", id, before.attempt, attempt)
		}
		b.recorded[id] = now
	}
}

// acknowledged is how many tasks have a result that was acknowledged to an agent of the test.
func (b *book) acknowledged() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.recorded)
}

// pick gives a task that was acknowledged, chosen by n; "" if there is none yet.
func (b *book) pick(n int) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, v := range b.submits { // the order of a map is chance as well
		if v == done {
			if n--; n <= 0 {
				return id
			}
		}
	}
	return ""
}

// String counts, for the log of a test.
func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := map[verdict]int{}
	for _, v := range b.submits {
		n[v]++
	}
	return fmt.Sprintf("submits: %d ok, %d refused, %d unknown; cancels of %d tasks, retries of %d; acks %v",
		n[done], n[refused], n[unknown], len(b.cancelled), len(b.retried), b.outcomes)
}
