package sandbox

import (
	"iter"
	"strings"
	"unicode"
	"unicode/utf8"
)

// text is a prompt, read once: its sentences in order and how often each word occurs, in lower case.
type text struct {
	sentences []string
	words     int
	frequency map[string]int
}

func readText(s string) text {
	t := text{frequency: make(map[string]int)}
	for w := range words(s) {
		t.words++
		t.frequency[strings.ToLower(w)]++
	}
	for p := range passages(s) {
		for sentence := range sentences(p) {
			if hasWord(sentence) {
				t.sentences = append(t.sentences, sentence)
			}
		}
	}
	return t
}

func blank(s string) bool { return strings.TrimSpace(s) == "" }

// words yields runs of letters and digits; an apostrophe, hyphen or underscore between two of them belongs to the word.
func words(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start := -1
		for i, r := range s {
			switch {
			case inWord(r):
				if start < 0 {
					start = i
				}
			case start >= 0 && strings.ContainsRune("'’-_", r) && startsWord(s[i+utf8.RuneLen(r):]):
			case start >= 0:
				if !yield(s[start:i]) {
					return
				}
				start = -1
			}
		}
		if start >= 0 {
			yield(s[start:])
		}
	}
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) }

func startsWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return inWord(r)
}

func hasWord(s string) bool { return strings.ContainsFunc(s, inWord) }

// passages yields pieces that no sentence reaches across: paragraphs, headings, list items and table rows, each on
// one line and without its list or heading mark.
func passages(s string) iter.Seq[string] {
	return func(yield func(string) bool) {
		var lines []string
		flush := func() bool {
			whole := strings.Join(lines, " ")
			lines = lines[:0]
			return whole == "" || yield(whole)
		}
		for line := range strings.SplitSeq(s, "\n") {
			line = strings.TrimSpace(line)
			body, marked := cutMark(line)
			if (line == "" || marked) && !flush() {
				return
			}
			if body != "" {
				lines = append(lines, body)
			}
			if strings.HasPrefix(line, "#") && !flush() {
				return
			}
		}
		flush()
	}
}

// cutMark takes off what begins a heading, a quotation or a list item; a table row is marked and kept whole.
func cutMark(line string) (body string, marked bool) {
	if strings.HasPrefix(line, "|") {
		return line, true
	}
	mark, rest, found := strings.Cut(line, " ")
	if !found || mark == "" {
		return line, false
	}
	number := strings.TrimRight(mark, ".)")
	if strings.Trim(mark, "#") == "" || mark == "-" || mark == "*" || mark == ">" || number != mark && isNumber(number) {
		return strings.TrimSpace(rest), true
	}
	return line, false
}

func isNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// sentences cuts a passage after each mark that ends one, closing quotes and brackets included.
func sentences(passage string) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, next := 0, 0
		for i, r := range passage {
			if i < next || !strings.ContainsRune(".!?…。！？", r) {
				continue
			}
			rest := passage[i:]
			after := strings.TrimLeft(rest, ".!?…。！？\"'”’)]*")
			next = len(passage) - len(after)
			if !strings.ContainsRune("。！？", r) && !beginsAnew(after) {
				continue
			}
			if !yield(strings.Join(strings.Fields(passage[start:next]), " ")) {
				return
			}
			start = next
		}
		if last := strings.Join(strings.Fields(passage[start:]), " "); last != "" {
			yield(last)
		}
	}
}

// beginsAnew is false within "3.5" and after the "e.g." of a running sentence.
func beginsAnew(after string) bool {
	trimmed := strings.TrimLeft(after, " \t\r")
	if trimmed == "" {
		return true
	}
	r, _ := utf8.DecodeRuneInString(trimmed)
	return len(trimmed) < len(after) && !unicode.IsLower(r)
}
