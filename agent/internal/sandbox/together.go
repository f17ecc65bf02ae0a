package sandbox

import (
	"regexp"
	"strings"
)

// together is a first line such as "Put together what was said of each:", and what stands below it.
var together = regexp.MustCompile(`(?is)^\s*put together\b[^\n]*:[ \t\r]*\n(.*)$`)

// putTogether gives back what a prompt asks to be put together, as it was given; false when the prompt is something else.
// So a task that takes in the results of others has a result with all of them.
func putTogether(prompt string) (text string, ok bool) {
	m := together.FindStringSubmatch(prompt)
	if m == nil || blank(m[1]) {
		return "", false
	}
	return "Put together, as it was given:\n" + strings.Trim(m[1], "\r\n"), true
}
