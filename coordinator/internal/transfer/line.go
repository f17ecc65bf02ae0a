package transfer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"
)

// line is one task as Export writes it: the keys of queue.json, then those of the execution
// log, then what neither had.
type line struct {
	ID           string          `json:"id"`
	Prompt       string          `json:"prompt"`
	Type         string          `json:"type,omitempty"`
	DependsOn    []string        `json:"depends_on"`
	MinBudget    *float64        `json:"min_budget,omitempty"`
	MaxBudget    *float64        `json:"max_budget,omitempty"`
	Intensity    string          `json:"intensity,omitempty"`
	Priority     int32           `json:"priority"`
	Model        string          `json:"model,omitempty"`
	ModelTier    string          `json:"model_tier,omitempty"`
	ParallelSafe *bool           `json:"parallel_safe,omitempty"`
	Parameters   *map[string]any `json:"parameters,omitempty"`

	TaskID        string   `json:"task_id"`
	Status        string   `json:"status"`
	WorkerID      string   `json:"worker_id,omitempty"`
	Timestamp     string   `json:"timestamp,omitempty"`
	StartedAt     string   `json:"started_at,omitempty"`
	CompletedAt   string   `json:"completed_at,omitempty"`
	ResultSummary *string  `json:"result_summary,omitempty"`
	Errors        []string `json:"errors,omitempty"`

	State     string          `json:"state"`
	Run       int32           `json:"run"`
	Attempts  int32           `json:"attempts"`
	CreatedAt string          `json:"created_at"`
	Digest    string          `json:"digest,omitempty"`
	Stint     json.RawMessage `json:"stint"`
}

// lineOf puts a task, shown in full, into a line. The task is used up.
func lineOf(t *stintv1.Task) (*line, error) {
	s := t.GetStatus()
	l := &line{
		ID: t.GetId(), TaskID: t.GetId(), Prompt: t.GetInstruction(), DependsOn: t.GetDependsOn(),
		Intensity: intensityWord(t.GetIntensity()), Priority: t.GetPriority(),
		Status: statusOf(s.GetState()), State: s.GetState().String()[len(statePrefix):], Run: s.GetRun(),
		StartedAt: when(s.GetStartTime()), CompletedAt: when(s.GetFinishTime()), CreatedAt: when(s.GetCreateTime()),
	}
	l.Timestamp = firstOf(l.CompletedAt, l.StartedAt, l.CreatedAt)
	if l.DependsOn == nil {
		l.DependsOn = []string{}
	}
	if b := t.GetBudget(); b != nil {
		l.MinBudget, l.MaxBudget = b.MinUsd, b.MaxUsd
	}
	l.worker(s.GetAttempts())
	l.parameters(t.GetParameters())
	return l, l.rest(t)
}

// worker names the agent of the newest attempt, or of the one whose result it is.
func (l *line) worker(attempts []*stintv1.Attempt) {
	won := false
	for _, a := range attempts {
		l.Attempts = max(l.Attempts, a.GetAttempt())
		if success := a.GetOutcome() == stintv1.AttemptOutcome_ATTEMPT_OUTCOME_SUCCEEDED; success || !won {
			l.WorkerID, won = a.GetAgentId(), success
		}
	}
}

// parameters gives those of queue.json their own keys and keeps the others together.
func (l *line) parameters(p *structpb.Struct) {
	if p == nil {
		return
	}
	m := p.AsMap()
	for key, to := range map[string]*string{"type": &l.Type, "model": &l.Model, "model_tier": &l.ModelTier} {
		if s, ok := m[key].(string); ok && s != "" {
			*to = s
			delete(m, key)
		}
	}
	if safe, ok := m["parallel_safe"].(bool); ok {
		l.ParallelSafe = &safe
		delete(m, "parallel_safe")
	}
	l.Parameters = &m
}

// rest spells like the contract what the other keys do not say.
func (l *line) rest(t *stintv1.Task) error {
	kept := &stintv1.TaskStatus{}
	if r := t.GetStatus().GetResult(); r != nil {
		l.ResultSummary = proto.String(r.GetText())
		r.Text = ""
		kept.Result = r
	}
	if f := t.GetStatus().GetFailure(); f != nil {
		l.Errors = []string{f.GetMessage()}
		f.Message = ""
		kept.Failure = f
	}
	t.Id, t.Instruction, t.Parameters, t.DependsOn, t.Budget = "", "", nil, nil, nil
	t.Intensity, t.Priority, t.Status = 0, 0, nil
	if kept.Result != nil || kept.Failure != nil {
		t.Status = kept
	}
	loose, err := protojson.Marshal(t)
	if err != nil {
		return fmt.Errorf("transfer: task %q as JSON: %w", l.ID, err)
	}
	var b bytes.Buffer
	if err := json.Compact(&b, loose); err != nil {
		return fmt.Errorf("transfer: task %q as JSON: %w", l.ID, err)
	}
	l.Stint = b.Bytes()
	return nil
}

func when(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().UTC().Format(fixedTime)
}

// fixedTime has all its digits, so that times in text sort like times.
const fixedTime = "2006-01-02T15:04:05.000000Z"

func firstOf(s ...string) string {
	for _, x := range s {
		if x != "" {
			return x
		}
	}
	return ""
}

// liner writes lines.
type liner struct {
	enc *json.Encoder
	n   int
}

func newLiner(w io.Writer) *liner {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return &liner{enc: enc}
}

// write writes a task, and its digest where the content does not have it.
func (w *liner) write(t *stintv1.Task, digest string) error {
	l, err := lineOf(t)
	if err != nil {
		return err
	}
	l.Digest = digest
	w.n++
	return w.enc.Encode(l)
}
