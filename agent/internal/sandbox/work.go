package sandbox

import (
	"fmt"
	"slices"
	"strings"
)

// preface heads every result, so that it says what made it wherever it is shown.
const preface = "[stint sandbox] Made by a stand-in with fixed rules; no model was called."

// work is all that the stand-in can do: a sum of two numbers, what is to be put together, or the counts and the k most
// telling sentences of the prompt. Counts lead when the prompt asks for them.
func work(prompt string, k int) string {
	if line, ok := arithmetic(prompt); ok {
		return preface + "\n" + line
	}
	if text, ok := putTogether(prompt); ok {
		return preface + "\n" + text
	}
	t := readText(prompt)
	counts := fmt.Sprintf("The prompt has %s (%d distinct) in %s.",
		plural(t.words, "word"), len(t.frequency), plural(len(t.sentences), "sentence"))
	best := t.best(k)
	summary := "There is no sentence to sum up."
	if len(best) > 0 {
		summary = fmt.Sprintf("Summary, %d of %s, chosen by word frequency:\n%s",
			len(best), plural(len(t.sentences), "sentence"), strings.Join(best, "\n"))
	}
	if t.asksToCount() {
		return preface + "\n" + counts + "\n" + summary
	}
	return preface + "\n" + summary + "\n" + counts
}

// asksToCount is a guess by words; guessing wrong changes only the order of what is said.
func (t text) asksToCount() bool {
	return slices.ContainsFunc([]string{"count", "counts", "counting"}, func(w string) bool { return t.frequency[w] > 0 }) ||
		t.frequency["how"] > 0 && t.frequency["many"] > 0
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
