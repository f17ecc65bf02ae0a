package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// paper is a document of the project, or a part of one, to be summed up by a task.
type paper struct {
	task string
	file string
	part string // of a README: the heading of the section; empty: the comments of a source file
}

// leaves are the tasks that depend on nothing.
var leaves = []paper{
	{"readme-concepts", "README.md", "## Concepts"},
	{"readme-contract", "README.md", "## The contract"},
	{"readme-limits", "README.md", "## Limits"},
	{"proto-task", "proto/stint/v1/task.proto", ""},
	{"proto-submit", "proto/stint/v1/task_service.proto", ""},
	{"proto-agents", "proto/stint/v1/agent_service.proto", ""},
	{"inside-core", "coordinator/internal/queue/doc.go", ""},
	{"inside-agent", "agent/internal/session/doc.go", ""},
}

// chapters sum up several papers each, after their own tasks; the last task sums up all of them.
var chapters = []struct {
	task   string
	prefix string // of the leaves that it depends on
}{{"readme", "readme-"}, {"proto", "proto-"}, {"inside", "inside-"}}

const lastTask = "everything"

// queuedTask is a task as queue.json has it.
type queuedTask struct {
	ID        string   `json:"id"`
	Type      string   `json:"type"`
	Prompt    string   `json:"prompt"`
	DependsOn []string `json:"depends_on"`
	Intensity string   `json:"intensity"`
}

// writeQueue writes a queue.json of all papers.
func writeQueue(path string) error {
	tasks, err := queuedTasks()
	if err != nil {
		return err
	}
	data, err := json.MarshalIndent(map[string]any{"version": "1.0", "tasks": tasks, "completed": []string{}, "failed": []string{}}, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(data, '\n'), 0o644)
}

func queuedTasks() ([]queuedTask, error) {
	var tasks []queuedTask
	texts := map[string]string{}
	for _, p := range leaves {
		text, err := p.text()
		if err != nil {
			return nil, err
		}
		texts[p.task] = text
		tasks = append(tasks, newTask(p.task, "low", text))
	}
	var all []string
	var whole strings.Builder
	for _, c := range chapters {
		var parents []string
		var text strings.Builder
		for _, p := range leaves {
			if strings.HasPrefix(p.task, c.prefix) {
				parents = append(parents, p.task)
				text.WriteString(texts[p.task] + "\n\n")
			}
		}
		all = append(all, c.task)
		whole.WriteString(text.String())
		tasks = append(tasks, newTask(c.task, "medium", text.String(), parents...))
	}
	return append(tasks, newTask(lastTask, "high", whole.String(), all...)), nil
}

func newTask(id, intensity, text string, after ...string) queuedTask {
	return queuedTask{ID: id, Type: "summary", Prompt: text, DependsOn: append([]string{}, after...), Intensity: intensity}
}

// text is what a paper says.
func (p paper) text() (string, error) {
	data, err := os.ReadFile(p.file)
	if err != nil {
		return "", err
	}
	text := comments(string(data))
	if p.part != "" {
		text = section(string(data), p.part)
	}
	if text == "" {
		return "", fmt.Errorf("%s has nothing for task %s; was %q renamed?", p.file, p.task, p.part)
	}
	return strings.ReplaceAll(text, "{{", "{ {"), nil // what a document tells of references is none
}

// section is what stands under a heading, up to the next of the same rank; without tables and examples, which are no
// sentences.
func section(text, heading string) string {
	_, rest, found := strings.Cut(text, "\n"+heading+"\n")
	if !found {
		return ""
	}
	rest, _, _ = strings.Cut(rest, "\n## ")
	var kept []string
	fenced := false
	for line := range strings.Lines(rest) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
			continue
		}
		if !fenced && !strings.HasPrefix(line, "|") && !strings.HasPrefix(line, "#") {
			kept = append(kept, line)
		}
	}
	return strings.TrimSpace(strings.Join(kept, ""))
}

// comments are the comments of a source file, without the drawings and examples in them.
func comments(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		comment, found := strings.CutPrefix(strings.TrimSpace(line), "//")
		if found && !strings.HasPrefix(comment, "  ") && !strings.HasPrefix(comment, "\t") &&
			!strings.HasPrefix(comment, " #") && !strings.HasPrefix(comment, " grpcurl") {
			kept = append(kept, strings.TrimSpace(comment))
		}
	}
	return strings.TrimSpace(strings.Join(kept, "\n"))
}
