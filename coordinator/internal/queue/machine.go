package queue

import "time"

// Config is the machine's own settings; all must be set.
type Config struct {
	LeaseTTL     time.Duration // shortest lease of a session
	GrantTimeout time.Duration // an unconfirmed session grant goes back after it
	MaxLive      int           // tasks not terminal
	Jitter       func(Serial, int32) uint64
}

// Machine is the pure state machine. It is not safe for concurrent use.
type Machine struct{}

// New gives a machine without tasks. Fill it with Restore…, then call Activate once.
func New(c Config) *Machine { return nil }

// RestoreHead takes the ledger's head; first.
func (m *Machine) RestoreHead(h Head) {}

// RestoreQueue takes one stored queue; before the tasks.
func (m *Machine) RestoreQueue(q QueueRecord) {}

// RestoreTask takes one live record, in any order. It keeps nothing of l.
func (m *Machine) RestoreTask(l *Live) error { return nil }

// Orphans are the parents that restored BLOCKED tasks name and that are not live:
// the caller looks their terminal states up and gives them to Activate.
func (m *Machine) Orphans() []Serial { return nil }

// Activate starts the clocks: every live lease has its full length from elapsed zero.
func (m *Machine) Activate(now Instant, parents map[Serial]State) error { return nil }

// Step advances to the input's times, takes its commands in order, then grants.
func (m *Machine) Step(in Input) Effects { return Effects{} }

// Next is the elapsed time of the nearest deadline, and false if there is none:
// the caller steps again by then.
func (m *Machine) Next() (time.Duration, bool) { return 0, false }

// Task gives a view of a task that the machine holds.
func (m *Machine) Task(id string) (TaskView, bool) { return TaskView{}, false }

// Lease gives the state of the task as a look-up by serial.
func (m *Machine) TaskBySerial(s Serial) (TaskView, bool) { return TaskView{}, false }

// Agents gives up to limit agents with ids after the given one, by id.
func (m *Machine) Agents(after string, limit int) []AgentView { return nil }

// Agent gives one agent.
func (m *Machine) Agent(id string) (AgentView, bool) { return AgentView{}, false }

// Queues gives up to limit queues with names after the given one, by name.
func (m *Machine) Queues(after string, limit int) []QueueView { return nil }

// Queue gives one queue.
func (m *Machine) Queue(name string) (QueueView, bool) { return QueueView{}, false }

// Counts are all queues together.
func (m *Machine) Counts() Counts { return Counts{} }

// Head is the head as of the last Step.
func (m *Machine) Head() Head { return Head{} }

// Explain says why a task that the machine holds is not running.
func (m *Machine) Explain(id string) ([]Why, State, bool) { return nil, 0, false }
