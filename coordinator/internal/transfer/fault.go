package transfer

import (
	"fmt"
	"strconv"
	"strings"
)

// Place is where something stands in a file; lines and columns count from 1, columns in
// characters. Line 0 is the file as a whole.
type Place struct {
	File         string
	Line, Column int
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// Note is something said about a place.
type Note struct {
	At   Place
	Text string
}

func (n Note) String() string { return n.At.String() + ": " + n.Text }

// Faults are the reasons to import nothing.
type Faults struct {
	List []Note // in the order found, at most maxFaults
	More int    // found and not listed
}

// Error names each fault in a line of its own.
func (f *Faults) Error() string {
	n := len(f.List) + f.More
	var b strings.Builder
	fmt.Fprintf(&b, "transfer: %s; nothing was imported, correct and repeat", count(n, "fault"))
	for _, n := range f.List {
		b.WriteString("\n  " + n.String())
	}
	if f.More > 0 {
		fmt.Fprintf(&b, "\n  and %d more", f.More)
	}
	return b.String()
}

// notes gathers up to maxFaults and counts the rest.
type notes struct {
	list []Note
	more int
}

func (n *notes) add(at Place, format string, args ...any) {
	if len(n.list) >= maxFaults {
		n.more++
		return
	}
	n.list = append(n.list, Note{at, fmt.Sprintf(format, args...)})
}

func (n *notes) any() bool { return len(n.list) > 0 }

// count puts a number and its noun in words.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}

// quoted shows a value of a file, shortened.
func quoted(s string) string {
	if r := []rune(s[:min(len(s), 4*maxShown)]); len(r) > maxShown || len(s) > 4*maxShown {
		return strconv.Quote(string(r[:min(len(r), maxShown)])) + "…"
	}
	return strconv.Quote(s)
}
