package server

import (
	"strings"
	"unicode/utf8"
)

// cut shortens s to at most n bytes without breaking a character. What is kept of it does not keep the
// rest in memory.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return strings.Clone(s[:n])
}

// isLabelKey tells whether s has the shape of a label's key.
func isLabelKey(s string) bool {
	return shaped(s, 1, 63, "._/-") && alphanumeric(s[0])
}

// isLabelValue tells whether s has the shape of a label's value.
func isLabelValue(s string) bool {
	return shaped(s, 0, 128, "._:/@+-")
}

func shaped(s string, least, most int, marks string) bool {
	if len(s) < least || len(s) > most {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && strings.IndexByte(marks, s[i]) < 0 {
			return false
		}
	}
	return true
}

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
