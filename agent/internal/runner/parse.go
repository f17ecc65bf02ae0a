package runner

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/structpb"
)

// parser turns JSON into the values of a Struct. Its text has passed json.Valid, so it looks at no more than it needs: to go
// by Go's own values, and from them to a Struct's, would take three times as long. What it makes of a text is what
// encoding/json and structpb would make of it together.
type parser struct {
	text []byte
	at   int
}

// parseObject is an error if text is not JSON; nil without one if it is something else than an object.
func parseObject(text []byte) (*structpb.Struct, error) {
	if !json.Valid(text) {
		var nothing any
		return nil, json.Unmarshal(text, &nothing)
	}
	p := parser{text: bytes.TrimSpace(text)}
	value, err := p.value()
	return value.GetStructValue(), err
}

// value reads the value that comes next, and what space there is before it.
func (p *parser) value() (*structpb.Value, error) {
	switch p.next() {
	case '{':
		object, err := p.object()
		return structpb.NewStructValue(object), err
	case '[':
		list, err := p.list()
		return structpb.NewListValue(list), err
	case '"':
		text, err := p.str()
		return structpb.NewStringValue(text), err
	case 't':
		p.at += len("true")
		return structpb.NewBoolValue(true), nil
	case 'f':
		p.at += len("false")
		return structpb.NewBoolValue(false), nil
	case 'n':
		p.at += len("null")
		return structpb.NewNullValue(), nil
	}
	return p.number()
}

// next skips space, and is the byte behind it.
func (p *parser) next() byte {
	for {
		switch c := p.text[p.at]; c {
		case ' ', '\t', '\r', '\n':
			p.at++
		default:
			return c
		}
	}
}

// more is true if a bracket has just been opened, or a comma stands next, and skips it; otherwise it skips what closes.
func (p *parser) more(closing byte) bool {
	c := p.next()
	if c == closing || c == ',' {
		p.at++
	}
	return c != closing
}

// object reads from the bracket on; of a key that comes twice the last value stays.
func (p *parser) object() (*structpb.Struct, error) {
	fields := map[string]*structpb.Value{}
	for p.at++; p.more('}'); {
		p.next()
		key, err := p.str()
		if err != nil {
			return nil, err
		}
		p.next()
		p.at += len(":")
		if fields[key], err = p.value(); err != nil {
			return nil, err
		}
	}
	return &structpb.Struct{Fields: fields}, nil
}

func (p *parser) list() (*structpb.ListValue, error) {
	list := &structpb.ListValue{}
	for p.at++; p.more(']'); {
		value, err := p.value()
		if err != nil {
			return nil, err
		}
		list.Values = append(list.Values, value)
	}
	return list, nil
}

// str reads from the quote on. Escapes, and what is no UTF-8, are left to encoding/json.
func (p *parser) str() (string, error) {
	start, escaped := p.at, false
	for p.at++; p.text[p.at] != '"'; p.at++ {
		if p.text[p.at] == '\\' {
			escaped = true
			p.at++
		}
	}
	p.at++
	if plain := p.text[start+1 : p.at-1]; !escaped && utf8.Valid(plain) {
		return string(plain), nil
	}
	var text string
	err := json.Unmarshal(p.text[start:p.at], &text)
	return text, err
}

func (p *parser) number() (*structpb.Value, error) {
	start := p.at
	for p.at < len(p.text) && bytes.IndexByte([]byte("+-.0123456789Ee"), p.text[p.at]) >= 0 {
		p.at++
	}
	number, err := strconv.ParseFloat(string(p.text[start:p.at]), 64)
	if err != nil {
		return nil, fmt.Errorf("number %s is out of range", p.text[start:p.at])
	}
	return structpb.NewNumberValue(number), nil
}
