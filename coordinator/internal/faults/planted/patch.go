package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// file is what a patch does to one file: each hunk puts one text in the place of another.
type file struct {
	name  string
	hunks []hunk
}

type hunk struct{ before, after string }

// parse reads a unified diff. Line numbers are not looked at: a hunk goes where its text stands.
func parse(text string) (files []file, err error) {
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "--- "):
		case strings.HasPrefix(line, "+++ b/"):
			files = append(files, file{name: strings.TrimSpace(line[len("+++ b/"):])})
		case len(files) == 0: // what is said before the diff
		case strings.HasPrefix(line, "@@"):
			f := &files[len(files)-1]
			f.hunks = append(f.hunks, hunk{})
		default:
			f := &files[len(files)-1]
			if len(f.hunks) == 0 {
				return nil, fmt.Errorf("a line before the first @@: %q", line)
			}
			if err := f.hunks[len(f.hunks)-1].add(line); err != nil {
				return nil, err
			}
		}
	}
	if len(files) == 0 {
		return nil, errors.New("no file is patched: a diff names it as +++ b/NAME")
	}
	return files, nil
}

func (h *hunk) add(line string) error {
	rest := line[1:]
	switch line[0] {
	case ' ':
		h.before += rest
		h.after += rest
	case '-':
		h.before += rest
	case '+':
		h.after += rest
	case '\n':
		h.before += line
		h.after += line
	default:
		return fmt.Errorf("a line of a diff begins with a blank, - or +, not %q", line)
	}
	return nil
}

// patched is the file with the bug in it.
func (f *file) patched() (string, error) {
	data, err := os.ReadFile(f.name)
	if err != nil {
		return "", err
	}
	text := string(data)
	for _, h := range f.hunks {
		if n := strings.Count(text, h.before); n != 1 {
			return "", fmt.Errorf("%s has the text of a hunk %d times, want once; adapt the patch:\n%s", f.name, n, h.before)
		}
		text = strings.Replace(text, h.before, h.after, 1)
	}
	return text, nil
}
