package sandbox

import (
	"net/http"
	"slices"
	"strings"
)

// maxTemperature is the bound that chat APIs have; nothing here is random, so within it the value changes nothing.
const maxTemperature = 2

var chatRoles = []string{"system", "developer", "user", "assistant", "tool"}

type chatRequest struct {
	Model       string        `json:"model"`
	Messages    []chatMessage `json:"messages"`
	Temperature *float64      `json:"temperature"`
	Stream      bool          `json:"stream"`
	TaskID      string        `json:"task_id"`
}

type chatMessage struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

type chatAnswer struct {
	ID      string       `json:"id"`
	Object  string       `json:"object"`
	Created int64        `json:"created"` // Unix seconds
	Model   string       `json:"model"`
	Choices []chatChoice `json:"choices"`
	Usage   usage        `json:"usage"`
}

type chatChoice struct {
	Index        int         `json:"index"`
	Message      chatMessage `json:"message"`
	FinishReason string      `json:"finish_reason"`
}

// chat answers POST /v1/chat/completions. It works on the last message of the user; the others only count as tokens.
func (s *Server) chat(body []byte, c *call) reply {
	var req chatRequest
	found := decode(body, &req)
	c.TaskID = req.TaskID[:min(len(req.TaskID), maxTaskID)] // of a refused call too
	if found == nil {
		found = req.check()
	}
	if found != nil {
		return found.reply()
	}
	content := work(req.prompt(), topSentences[""])
	asked := 0
	for _, m := range req.Messages {
		asked += tokens(m.Content)
	}
	return reply{http.StatusOK, chatAnswer{
		ID:      "chatcmpl-" + c.Nonce,
		Object:  "chat.completion",
		Created: c.Time.Unix(),
		Model:   modelName,
		Choices: []chatChoice{{Message: chatMessage{Role: "assistant", Content: content}, FinishReason: "stop"}},
		Usage:   newUsage(asked, tokens(content)),
	}}
}

func (r chatRequest) prompt() string {
	for _, m := range slices.Backward(r.Messages) {
		if m.Role == "user" {
			return m.Content
		}
	}
	return ""
}

func (r chatRequest) check() (f faults) {
	for i, m := range r.Messages {
		if !slices.Contains(chatRoles, m.Role) {
			f.add("messages[%d].role %q is unknown; give one of %s", i, m.Role, strings.Join(chatRoles, ", "))
		}
	}
	switch {
	case len(r.Messages) == 0:
		f.add("messages is missing or empty; give at least one of role user")
	case blank(r.prompt()):
		f.add("messages has no text of the user at its end; give a message of role user with content")
	}
	if t := r.Temperature; t != nil && (*t < 0 || *t > maxTemperature) {
		f.add("temperature %v is out of bounds; give 0 to %d", *t, maxTemperature)
	}
	if r.Stream {
		f.add("stream true is not served here; leave it out")
	}
	f.checkTaskID(r.TaskID)
	return f
}
