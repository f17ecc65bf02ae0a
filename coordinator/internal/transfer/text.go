package transfer

import (
	"bytes"
	"slices"
	"unicode/utf8"
)

// text is JSON as it stands in a file: a whole document or one line of it.
type text struct {
	file  string
	data  []byte
	first int                             // number of the first line
	ends  []int                           // where each line ends, found when first asked for
	last  struct{ start, at, column int } // the place given last, to count on from: a line may be the whole file
}

// place gives the place of an offset into data.
func (t *text) place(at int) Place {
	if t.ends == nil {
		t.ends = make([]int, 0, 1+bytes.Count(t.data, newline))
		for i, c := range t.data {
			if c == '\n' {
				t.ends = append(t.ends, i)
			}
		}
	}
	at = min(max(at, 0), len(t.data))
	line, _ := slices.BinarySearch(t.ends, at)
	start := 0
	if line > 0 {
		start = t.ends[line-1] + 1
	}
	return Place{File: t.file, Line: t.first + line, Column: t.column(start, at)}
}

// column counts the characters from the start of a line, or from the place given last if that
// is in the same line.
func (t *text) column(start, at int) int {
	l := &t.last
	switch {
	case l.column == 0 || l.start != start:
		l.column = 1 + utf8.RuneCount(t.data[start:at])
	case at >= l.at:
		l.column += utf8.RuneCount(t.data[l.at:at])
	default:
		l.column -= utf8.RuneCount(t.data[at:l.at])
	}
	l.start, l.at = start, at
	return l.column
}

var newline = []byte{'\n'}

// notUTF8 is the offset of the first byte that is no UTF-8, or -1.
func notUTF8(data []byte) int {
	if utf8.Valid(data) {
		return -1
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n <= 1 {
			return i
		}
		i += n
	}
	return -1
}
