package ledgertest

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stint-dev/stint/coordinator/internal/ledger"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Sizes of a benchmark's tasks: a short instruction, a short answer.
const (
	benchPayload = 300
	benchResult  = 200
	benchID      = 26 // as random as those of clients
)

// Bench commits whole lives to a led ledger, each in three batches of size tasks: submit,
// grant, completion, with a second batch always under way. It reports lives/s.
func Bench(b *testing.B, l ledger.Ledger, size int) {
	lv := newLives(size)
	last := func() error { return nil }
	done := 0
	b.ReportAllocs()
	start := time.Now()
	for b.Loop() {
		for _, batch := range lv.next() {
			wait, err := l.Commit(batch)
			if err != nil {
				b.Fatal(err)
			}
			if err := last(); err != nil {
				b.Fatal(err)
			}
			last = wait
		}
		done += size
	}
	if err := last(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(done)/time.Since(start).Seconds(), "lives/s")
}

// lives are the three batches of the lives of some tasks, used over and over.
type lives struct {
	head                  queue.Head
	submit, grant, finish queue.Batch
	instance, agent, name string
	payload, result       []byte
	now                   queue.Instant
	spent                 queue.Micros
	random                *rand.Rand
}

// word gives n random characters, as hard to compress as base 32.
func (l *lives) word(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"[l.random.IntN(32)]
	}
	return string(b)
}

func newLives(size int) *lives {
	l := &lives{
		head: queue.Head{NextSerial: 1, Oldest: 1}, instance: "3f2a9c1e", agent: "worker_3f2a9c1e", name: "default",
		now: firstInstant, random: rand.New(rand.NewPCG(1, 2)),
	}
	l.payload, l.result = []byte(l.word(benchPayload)), []byte(l.word(benchResult))
	l.submit = queue.Batch{Specs: make([]queue.Spec, size), Live: make([]queue.Live, size), Events: make([]queue.Event, size)}
	l.grant = queue.Batch{Live: make([]queue.Live, size), Events: make([]queue.Event, size)}
	l.finish = queue.Batch{DropLive: make([]queue.Serial, size), Terminal: make([]queue.Terminal, size), Events: make([]queue.Event, size)}
	return l
}

// next gives the batches of the next tasks.
func (l *lives) next() [3]*queue.Batch {
	for i := range l.submit.Specs {
		s := l.head.NextSerial
		l.head.NextSerial++
		l.life(i, s, l.word(benchID))
	}
	l.spent += usualMaxCost * queue.Micros(len(l.finish.Terminal))
	l.finish.Spends = l.finish.Spends[:0]
	for by, name := range []string{"", l.agent} {
		l.finish.Spends = append(l.finish.Spends, queue.SpendRecord{Queue: l.name, By: queue.ByQueue + queue.SpendBy(by),
			Name: name, Spent: l.spent, Attempts: int64(l.spent / usualMaxCost)})
	}
	all := [3]*queue.Batch{&l.submit, &l.grant, &l.finish}
	for _, b := range all {
		for i := range b.Events {
			l.head.Newest++
			b.Events[i].Sequence = l.head.Newest
		}
		l.now += 500
		l.head.Batch++
		l.head.Now = l.now
		b.Head = l.head
		b.Queues = append(b.Queues[:0], queue.QueueRecord{Name: l.name, Settings: queue.Settings{Weight: 1}, Version: 1,
			Counts: queue.Counts{Submitted: l.head.Newest}, Spend: queue.PeriodSpend{Settled: l.spent}})
	}
	return all
}

func (l *lives) life(i int, s queue.Serial, id string) {
	retry := queue.Retry{MaxAttempts: 3, InitialBackoff: time.Second, MaxBackoff: time.Minute}
	digest := queue.Digest{byte(s), byte(s >> 8), byte(s >> 16)}
	st := queue.Status{State: queue.Ready, Run: 1, Create: l.now, Ready: l.now}
	l.submit.Specs[i] = queue.Spec{Serial: s, ID: id, Digest: digest, Queue: l.name, OnFailure: queue.PolicyCancel,
		AttemptTimeout: 2 * time.Minute, Retry: retry, MaxCost: usualMaxCost, Payload: l.payload}
	l.submit.Live[i] = queue.Live{Serial: s, ID: id, Digest: digest, Queue: l.name, OnFailure: queue.PolicyCancel,
		AttemptTimeout: 2 * time.Minute, Retry: retry, MaxCost: usualMaxCost, Status: st}
	l.submit.Events[i] = queue.Event{Time: l.now, Kind: queue.EventSubmitted, Task: id, Serial: s, Queue: l.name, Run: 1}
	g := &l.grant.Live[i]
	*g = l.submit.Live[i]
	g.Status.State, g.Status.Attempt, g.Status.Start = queue.Running, 1, l.now+500
	g.Grant = queue.Grant{Agent: l.agent, Instance: l.instance, Length: 30 * time.Second, Start: l.now + 500}
	l.grant.Events[i] = queue.Event{Time: l.now, Kind: queue.EventGranted, Task: id, Serial: s, Queue: l.name, Run: 1, Attempt: 1, Agent: l.agent}
	l.finish.DropLive[i] = s
	t := &l.finish.Terminal[i]
	*t = queue.Terminal{Serial: s, ID: id, Queue: l.name, Status: g.Status, Result: l.result}
	t.Status.State, t.Status.Finish = queue.Completed, l.now+1000
	t.Final = queue.Attempt{Number: 1, Run: 1, Agent: l.agent, Start: l.now + 500, Finish: l.now + 1000,
		Outcome: queue.OutcomeSucceeded, End: queue.EndReported, Reported: true, Digest: digest, Reserved: usualMaxCost, Spent: usualMaxCost, Settled: true}
	t.Status.Spent = usualMaxCost
	l.finish.Events[i] = queue.Event{Time: l.now, Kind: queue.EventCompleted, Task: id, Serial: s, Queue: l.name, Run: 1, Attempt: 1, Agent: l.agent,
		Cost: usualMaxCost, HasCost: true}
}
