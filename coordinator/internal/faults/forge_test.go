package faults

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stint-dev/stint/coordinator/internal/engine"
	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// iterations of an agent that sleeps, is replaced, and comes back.
const iterations = 1000

// L1–L4: whatever a woken agent repeats and whatever anybody forges, the live lease stays as it
// is; only a success of an attempt that was granted counts, and the first of them.
func TestForgedAndReplayedLeases(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed(t), 4))
	synctest.Test(t, func(t *testing.T) {
		other := start(t, vfs.NewCrashableMem())
		other.submit(spec("t0"))
		foreign := other.one("sleeper").ID // of another ledger, and else just like ours
		other.stop()

		l := start(t, vfs.NewCrashableMem())
		f := &forger{rng: rng, life: l, known: []string{foreign}}
		for i := range times(iterations) {
			f.iteration(t, i)
			if t.Failed() {
				t.Fatalf("in iteration %d", i)
			}
		}
		if f.refused < 5*times(iterations) || f.lateWins == 0 || f.liveWins == 0 {
			t.Errorf("%d refusals, %d late and %d live successes: the test does not bite", f.refused, f.lateWins, f.liveWins)
		}
		t.Logf("%d takeovers: %d lies refused, %d late and %d live successes recorded", times(iterations), f.refused, f.lateWins, f.liveWins)
		wantHistory(t, l.history())
		l.stop()
	})
}

// forger has an agent sleep, and then speaks for it and for others.
type forger struct {
	*life
	rng   *rand.Rand
	known []string // lease ids that are worth nothing any more

	refused, lateWins, liveWins int
}

func (f *forger) iteration(t *testing.T, i int) {
	id := fmt.Sprint("t", i)
	f.submit(spec(id))
	sleeper, old, wake := f.sleeps(i)
	taker := f.connect("taker", "i1", engine.Message{Credit: 1})
	live := taker.granted()
	if live.TaskID != id || live.Attempt != 2 {
		t.Fatalf("L2: taken over as %+v", live)
	}
	before := f.seen(id)
	woken := wake()
	f.replay(t, woken, sleeper, old)
	f.replay(t, woken, sleeper, live.ID) // the right id in the wrong hands
	for range 3 {
		f.replay(t, woken, sleeper, f.forge(old, live.ID))
	}
	if after := f.seen(id); !reflect.DeepEqual(before, after) {
		t.Errorf("L3: the task was\n%+v and is\n%+v", before, after)
	}
	f.finish(t, woken, taker, old, live.ID, id)
	f.known = append(f.known[max(0, len(f.known)-20):], old, live.ID)
	woken.Close()
	taker.Close()
	f.settle()
}

// sleeps has an agent take the task and fall silent for three lease lengths, with a session or
// by the unary calls. wake is its return.
func (f *forger) sleeps(i int) (agent, lease string, wake func() *session) {
	agent = fmt.Sprint("sleeper", i%7)
	back := func() *session { return f.connect(agent, "i1", engine.Message{}) }
	if f.rng.IntN(2) == 0 {
		lease = f.one(agent).ID
		time.Sleep(3 * unaryLength)
		return agent, lease, back
	}
	s := f.connect(agent, "i1", engine.Message{Credit: 1})
	lease = s.granted().ID
	time.Sleep(3 * ttl)
	if f.rng.IntN(2) == 0 {
		s.Close()
		return agent, lease, back
	}
	return agent, lease, func() *session { return s }
}

// seen is all that is told of a task, but for the time that its lease has left.
func (f *forger) seen(id string) *engine.Task {
	task := f.task(id)
	if task.Lease != nil {
		task.Lease.Left = 0
	}
	return task
}

// replay says by every road that a lease is held, failed, released: all in vain.
func (f *forger) replay(t *testing.T, woken *session, agent, lease string) {
	t.Helper()
	m := beat(9, lease)
	m.Reports = []engine.Report{failure(lease, queue.ClassTaskFailed)}
	m.Releases = []engine.Release{{LeaseID: lease, Started: true}}
	woken.say(m)
	out := woken.hear()
	if len(out.Acks) != 1 || out.Acks[0].Ack != queue.AckLeaseLost || len(out.Cancels) != 1 || out.Cancels[0].LeaseID != lease {
		t.Errorf("L9: in a session, %s was answered %+v", lease, out)
	}
	if a := f.report(failure(lease, queue.ClassTaskFailed)); a.Ack != queue.AckLeaseLost {
		t.Errorf("L3: failure of %s by a unary call: %+v", lease, a)
	}
	for what, a := range map[string]act{"extension": extend, "release": release} {
		if got, err := a.do(f.life, lease); err != nil || got[:4] != "lost" {
			t.Errorf("L3: %s of %s by a unary call: %s, %v", what, lease, got, err)
		}
	}
	f.refused += 5
	_, err := f.Connect(t.Context(), engine.Hello{Agent: "taker", Instance: "i2"})
	var refusal *queue.Error
	if !errors.As(err, &refusal) || refusal.Reason != queue.AgentIDInUse {
		t.Errorf("L11: a second instance of a connected agent: %v", err)
	}
}

// forge makes a lease id that was never given out, or is of another task.
func (f *forger) forge(old, live string) string {
	raw, _ := base64.RawURLEncoding.DecodeString(live)
	switch f.rng.IntN(7) {
	case 0:
		raw[f.rng.IntN(len(raw))] ^= 1 << f.rng.IntN(8)
	case 1:
		raw[11]++ // the next attempt
	case 2:
		raw[7] += byte(1 + f.rng.IntN(200)) // another task
	case 3:
		mixed, _ := base64.RawURLEncoding.DecodeString(old)
		copy(raw[:12], mixed) // the old lease under the signature of the new
	case 4:
		raw = raw[:f.rng.IntN(len(raw))+1]
		if len(raw) == 28 {
			raw = raw[1:]
		}
	case 5:
		return live + "="
	default:
		return f.known[f.rng.IntN(len(f.known))]
	}
	return base64.RawURLEncoding.EncodeToString(raw)
}

// finish has both attempts succeed, in one of the two orders: the first counts (L4, C1, C2).
func (f *forger) finish(t *testing.T, woken, taker *session, old, live, id string) {
	t.Helper()
	by := []struct {
		s           *session
		lease, text string
	}{{woken, old, "late"}, {taker, live, "live"}}
	if f.rng.IntN(2) == 0 {
		by[0], by[1] = by[1], by[0]
		f.liveWins++
	} else {
		f.lateWins++
	}
	var acks []engine.ReportAck
	for _, b := range by {
		b.s.say(engine.Message{Reports: []engine.Report{success(b.lease, b.text)}})
		acks = append(acks, b.s.hear().Acks...)
		b.s.say(engine.Message{Reports: []engine.Report{success(b.lease, b.text)}})
		acks = append(acks, b.s.hear().Acks...)
	}
	want := []queue.Ack{queue.AckRecorded, queue.AckDuplicate, queue.AckLeaseLost, queue.AckLeaseLost}
	for i := range want {
		if len(acks) != 4 || acks[i].Ack != want[i] || want[i] == queue.AckLeaseLost && acks[i].End != queue.EndSuperseded {
			t.Fatalf("L4: acks %+v", acks)
		}
	}
	if got := f.task(id); got.Status.State != queue.Completed || string(got.Result) != by[0].text || len(got.Attempts) != 2 {
		t.Errorf("C2: %+v with %q, want that of %s", got.Status, got.Result, by[0].text)
	}
}
