package server

import (
	"fmt"
	"strings"
)

// What begins and ends a reference to a parent's result in an instruction.
const (
	openReference  = "{{"
	closeReference = "}}"
	resultsWord    = "results."
)

// checkReferences refuses an instruction that refers to what no parent can bring: the agent,
// which fills references in, could only fail the attempt. A `{{` that `results.` does not follow
// is text.
func checkReferences(instruction string, dependsOn []string) []fault {
	for {
		_, rest, found := strings.Cut(instruction, openReference)
		if !found {
			return nil
		}
		instruction = rest
		if !strings.HasPrefix(strings.TrimLeft(rest, blanks), resultsWord) {
			continue
		}
		reference, after, closed := strings.Cut(rest, closeReference)
		if !closed {
			return []fault{{"instruction", "has a {{ results. that no }} ends; write {{ results.ID.text }}"}}
		}
		if why := badReference(strings.Trim(reference, blanks), dependsOn); why != "" {
			return []fault{{"instruction", fmt.Sprintf("{{ %s }}: %s", cut(strings.Trim(reference, blanks), maxEcho), why)}}
		}
		instruction = after
	}
}

// badReference says what is wrong with results.ID.text or results.ID.output.PATH; empty: nothing.
// Ids may have points, so several may fit; which of them is meant makes no difference here.
func badReference(reference string, dependsOn []string) string {
	named, field := false, ""
	for _, d := range dependsOn {
		rest, begins := strings.CutPrefix(reference, resultsWord+d+".")
		named = named || begins
		if begins && (rest == "text" || strings.HasPrefix(rest, "output.")) {
			field = rest
		}
	}
	switch {
	case !named:
		return "names no task of depends_on; add the task there, or correct its id"
	case field == "":
		return "a result has text and output.PATH; write {{ results.ID.text }} or {{ results.ID.output.KEY }}"
	}
	for _, step := range strings.Split(field, ".") {
		if step == "" || strings.ContainsAny(step, " \t\r\n{}") {
			return fmt.Sprintf("%q is no step of a path; separate keys by one point, without spaces and braces", step)
		}
	}
	return ""
}
