package client

import (
	"testing"
	"time"
	"unicode/utf8"
)

// Foreign text can't steer the terminal or break out of its row.
func TestForeignText(t *testing.T) {
	for _, tc := range []struct{ in, visible, line string }{
		{"plain", "plain", "plain"},
		{"a\nb\tc  d\r\n", "a\nb\tc  d\n", "a b c d"},
		{"\x1b[2J\x1b]0;x\x07\u009b1m", "[2J]0;x1m", "[2J]0;x1m"},
		{"evil\u202etxt", "eviltxt", "eviltxt"},
		{"übung 河", "übung 河", "übung 河"},
	} {
		if got := visible(tc.in); got != tc.visible {
			t.Errorf("visible(%q) = %q, want %q", tc.in, got, tc.visible)
		}
		if got := oneLine(tc.in); got != tc.line {
			t.Errorf("oneLine(%q) = %q, want %q", tc.in, got, tc.line)
		}
	}
}

// A cut text is never longer than asked for, never cut within a rune, and says that it was cut.
func TestCut(t *testing.T) {
	for _, tc := range []struct {
		in   string
		n    int
		want string
	}{
		{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"河河河", 2, "河…"}, {"abc", 1, "…"}, {"", 0, ""},
	} {
		if got := cut(tc.in, tc.n); got != tc.want || !utf8.ValidString(got) {
			t.Errorf("cut(%q, %d) = %q, want %q", tc.in, tc.n, got, tc.want)
		}
	}
}

// Pauses grow to a bound, are never shorter than asked for, and begin anew after a success.
func TestPause(t *testing.T) {
	var p pause
	longest := time.Duration(0)
	for i := range 100 {
		top := min(firstPause<<min(i, 10), maxPause)
		if d := p.next(0); d < minPause || d > top {
			t.Fatalf("try %d: pause %v, want %v to %v", i, d, minPause, top)
		} else {
			longest = max(longest, d)
		}
	}
	if longest <= firstPause {
		t.Errorf("no pause of 100 was longer than %v", longest)
	}
	if d := p.next(time.Minute); d != time.Minute {
		t.Errorf("pause %v, want the minute asked for", d)
	}
	p.reset()
	if d := p.next(0); d > firstPause {
		t.Errorf("pause %v after a success, want at most %v", d, firstPause)
	}
}
