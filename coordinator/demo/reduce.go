package main

import (
	"context"
	"fmt"
	"strings"
)

// documents are what is read one by one, and then put together by a task that is handed the results.
var documents = []paper{
	{task: "read-queues", file: "proto/stint/v1/queue.proto"},
	{task: "read-queue-service", file: "proto/stint/v1/queue_service.proto"},
	{task: "read-events", file: "proto/stint/v1/event.proto"},
	{task: "read-errors", file: "proto/stint/v1/error.proto"},
}

const (
	// reduceTask takes in the results of those that read the documents.
	reduceTask = "digest"

	// documentsQueue is where they wait: a queue of their own, with a budget.
	documentsQueue = "documents"
)

// mapReduce has each document read by a task, and what they said put together by one more, with the text of all of them in
// its instruction. It shows the last text, and checks that it has the others in it.
func (s *stage) mapReduce(ctx context.Context) error {
	say("\nNow %d documents, each read by a task of its own, in a queue with a budget. One more task, %s, is handed what they said:\n\n%s\n",
		len(documents), reduceTask, reduceInstruction())
	if err := s.command(ctx, "queue", "set", documentsQueue, "--budget", "1", "--period", "day", "--max-running", "4"); err != nil {
		return err
	}
	if _, err := s.startAgent(ctx, "agent-c", "--slots", "4", "--queue", documentsQueue); err != nil {
		return err
	}
	if err := s.addDocuments(ctx); err != nil {
		return err
	}
	say("")
	if err := s.command(ctx, "wait", reduceTask); err != nil {
		return err
	}
	last, err := s.task(ctx, reduceTask)
	if err != nil {
		return err
	}
	say("\nThe text of %s, with the results of the tasks that it depends on:\n\n%s\n", reduceTask, last.Status.Result.Text)
	for _, d := range documents {
		parent, err := s.task(ctx, d.task)
		if err != nil {
			return err
		}
		if err := last.contains(parent); err != nil {
			return err
		}
	}
	say("What the queue has spent, by the stand-in's figures, which nobody bills:\n")
	err = s.command(ctx, "spend", documentsQueue)
	say("")
	return err
}

// addDocuments submits the tasks.
func (s *stage) addDocuments(ctx context.Context) error {
	var ids []string
	for _, d := range documents {
		text, err := d.text()
		if err != nil {
			return err
		}
		if err := s.add(ctx, d.task, text, "", "--intensity", "low"); err != nil {
			return err
		}
		ids = append(ids, d.task)
	}
	return s.add(ctx, reduceTask, reduceInstruction(), strings.Join(ids, ","))
}

// add submits one task to the queue of the documents; what the command shows of it is of no interest.
func (s *stage) add(ctx context.Context, id, instruction, after string, flags ...string) error {
	args := append([]string{"add", "--coordinator", s.coordinator, "--queue", documentsQueue}, flags...)
	_, err := read(ctx, agentProgram, append(args, "--", id, instruction, after)...)
	return err
}

// command shows what one of the people's commands says.
func (s *stage) command(ctx context.Context, args ...string) error {
	return show(ctx, agentProgram, append(args, "--coordinator", s.coordinator)...)
}

// reduceInstruction names each result where it is to stand.
func reduceInstruction() string {
	var text strings.Builder
	text.WriteString("Put together what the documents say:\n")
	for _, d := range documents {
		fmt.Fprintf(&text, "\n%s: {{ results.%s.text }}", d.file, d.task)
	}
	return text.String()
}

// contains checks that the result of a parent stands in the text of t.
func (t *taskView) contains(parent *taskView) error {
	text := parent.Status.Result.Text
	if text == "" || !strings.Contains(t.Status.Result.Text, text) {
		return fmt.Errorf("the text of task %s does not have that of %s in it:\n%s", t.ID, parent.ID, text)
	}
	return nil
}
