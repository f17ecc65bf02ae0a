package transfer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// kind is the type of a JSON value.
type kind uint8

const (
	isNull kind = iota
	isBool
	isNumber
	isString
	isList
	isObject
)

var kindNames = [...]string{"null", "true or false", "a number", "a string", "a list", "an object"}

func (k kind) String() string { return kindNames[k] }

// node is a JSON value that knows where it stands: data[at:end] of its text.
type node struct {
	kind    kind
	truth   bool
	at, end int
	text    string // of a string, or a number as written
	items   []node
	members []member
}

// blank tells whether a value says nothing where a text is wanted.
func (n *node) blank() bool { return n.kind == isNull || n.kind == isString && n.text == "" }

// member is one key of an object; at is where the key stands.
type member struct {
	key   string
	at    int
	value node
}

// badJSON is what is wrong with a text, and where.
type badJSON struct {
	at   int
	text string
}

func (e *badJSON) Error() string { return e.text }

// skip is a value that takes any JSON and keeps nothing: to have only the syntax checked.
type skip struct{}

func (skip) UnmarshalJSON([]byte) error { return nil }

// walker goes through a text whose syntax has been checked.
type walker struct {
	t      *text
	dec    *json.Decoder
	values int // of the value being built
}

// walk checks the syntax of a text and stands before its first value.
func walk(t *text) (*walker, *badJSON) {
	if at := notUTF8(t.data); at >= 0 {
		return nil, &badJSON{at, fmt.Sprintf("byte 0x%02x is not UTF-8 text; save the file as UTF-8", t.data[at])}
	}
	if err := json.Unmarshal(t.data, &skip{}); err != nil {
		var s *json.SyntaxError
		if !errors.As(err, &s) {
			return nil, &badJSON{0, "not JSON: " + err.Error()}
		}
		at := int(s.Offset)
		if at < len(t.data) || s.Error() != "unexpected end of JSON input" {
			at-- // the offset counts the byte that is wrong
		}
		return nil, &badJSON{at, "not JSON: " + s.Error()}
	}
	w := &walker{t: t, dec: json.NewDecoder(bytes.NewReader(t.data))}
	w.dec.UseNumber()
	return w, nil
}

// start is the offset of the next token.
func (w *walker) start() int {
	at := int(w.dec.InputOffset())
	for at < len(w.t.data) && bytes.IndexByte([]byte(" \t\r\n,:"), w.t.data[at]) >= 0 {
		at++
	}
	return at
}

// peek is the first byte of the next token.
func (w *walker) peek() byte {
	if at := w.start(); at < len(w.t.data) {
		return w.t.data[at]
	}
	return 0
}

// each calls f before each item of the list or member of the object that comes next; f must
// take the item, or the member's value, whole. Keys are given with their offsets.
func (w *walker) each(f func(i int, key string, at int) *badJSON) *badJSON {
	keyed := w.peek() == '{'
	if bad := w.take(); bad != nil {
		return bad
	}
	for i := 0; w.dec.More(); i++ {
		key, at := "", w.start()
		if keyed {
			tok, err := w.dec.Token()
			if err != nil {
				return w.broken(err)
			}
			key, _ = tok.(string)
		}
		if bad := f(i, key, at); bad != nil {
			return bad
		}
	}
	return w.take()
}

// take passes over one token.
func (w *walker) take() *badJSON {
	if _, err := w.dec.Token(); err != nil {
		return w.broken(err)
	}
	return nil
}

func (w *walker) broken(err error) *badJSON {
	return &badJSON{int(w.dec.InputOffset()), "not JSON: " + err.Error()}
}

// value builds the value that comes next.
func (w *walker) value() (node, *badJSON) {
	w.values = 0
	return w.build(1)
}

func (w *walker) build(depth int) (n node, bad *badJSON) {
	n.at = w.start()
	if w.values++; w.values > maxValues {
		return n, &badJSON{n.at, fmt.Sprintf("more than %d values in one task; shorten it", maxValues)}
	}
	switch w.peek() {
	case '{', '[':
		if depth > maxDepth {
			return n, &badJSON{n.at, fmt.Sprintf("nested more than %d deep; flatten it", maxDepth)}
		}
		bad = w.container(&n, depth)
	default:
		bad = w.scalar(&n)
	}
	n.end = int(w.dec.InputOffset())
	return n, bad
}

// container builds the items of a list, or the members of an object, each key once.
func (w *walker) container(n *node, depth int) *badJSON {
	n.kind = isList
	var seen map[string]bool
	if w.peek() == '{' {
		n.kind, seen = isObject, map[string]bool{}
	}
	return w.each(func(_ int, key string, at int) *badJSON {
		if seen[key] {
			return &badJSON{at, "key " + quoted(key) + " stands twice in one object; drop one"}
		}
		v, bad := w.build(depth + 1)
		if n.kind == isList {
			n.items = append(n.items, v)
			return bad
		}
		seen[key] = true
		n.members = append(n.members, member{key, at, v})
		return bad
	})
}

func (w *walker) scalar(n *node) *badJSON {
	tok, err := w.dec.Token()
	if err != nil {
		return w.broken(err)
	}
	switch v := tok.(type) {
	case bool:
		n.kind, n.truth = isBool, v
	case json.Number:
		n.kind, n.text = isNumber, v.String()
	case string:
		n.kind, n.text = isString, v
	}
	return nil
}
