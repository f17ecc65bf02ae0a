package client

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	// timeFormat is ISO 8601 in UTC, to the second: what fits a table. JSON has the exact times.
	timeFormat = "2006-01-02T15:04:05Z"

	// cellRunes is the longest text in a cell: a row stays readable on a wide terminal.
	cellRunes = 100

	// columnGap is the spaces between columns.
	columnGap = 2
)

// printer writes answers.
type printer struct {
	w    io.Writer
	json bool
}

// message writes m as one line of JSON.
func (p printer) message(m proto.Message) error {
	line, err := compact(m)
	if err != nil {
		return err
	}
	return p.text(line + "\n")
}

// compact is m as JSON without spaces. protojson varies its spaces on purpose; like this, the same message is always the
// same line.
func compact(m proto.Message) (string, error) {
	raw, err := protojson.Marshal(m)
	if err != nil {
		return "", fmt.Errorf("client: the answer can't be written as JSON: %w", err)
	}
	var line bytes.Buffer
	if err := json.Compact(&line, raw); err != nil {
		return "", fmt.Errorf("client: the answer can't be written as JSON: %w", err)
	}
	return line.String(), nil
}

// table writes rows in aligned columns; an empty cell is shown as a dash. The first row is usually the header.
func (p printer) table(rows ...[]string) error {
	var b bytes.Buffer
	tw := tabwriter.NewWriter(&b, 0, 0, columnGap, ' ', 0)
	for _, row := range rows {
		for i, text := range row {
			if text == "" {
				row[i] = "-"
			}
		}
		_, _ = fmt.Fprintln(tw, strings.Join(row, "\t")) // a buffer takes everything
	}
	_ = tw.Flush()
	var trimmed strings.Builder
	for line := range strings.Lines(b.String()) {
		trimmed.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return p.text(trimmed.String())
}

// layout is how messages of one kind stand in a table.
type layout[M proto.Message] struct {
	header []string
	row    func(M) []string
}

// show writes messages, one a row under the header, or one a line of JSON.
func show[M proto.Message](p printer, l layout[M], messages ...M) error {
	return showMore(p, l, true, messages)
}

// showMore is show with the header left out after the first page.
func showMore[M proto.Message](p printer, l layout[M], first bool, messages []M) error {
	if p.json {
		for _, m := range messages {
			if err := p.message(m); err != nil {
				return err
			}
		}
		return nil
	}
	var rows [][]string
	if first {
		rows = append(rows, slices.Clone(l.header))
	}
	for _, m := range messages {
		rows = append(rows, l.row(m))
	}
	return p.table(rows...)
}

// text writes s as it is.
func (p printer) text(s string) error {
	if _, err := io.WriteString(p.w, s); err != nil {
		return fmt.Errorf("client: write answer: %w", err)
	}
	return nil
}

// oneLine makes foreign text fit for one line: line breaks and tabs become spaces, other control characters vanish.
func oneLine(s string) string {
	return strings.Join(strings.Fields(visible(s)), " ")
}

// visible drops what could steer a terminal, and keeps line breaks and tabs.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || (!unicode.IsControl(r) && !unicode.Is(unicode.Bidi_Control, r)) {
			return r
		}
		return -1
	}, s)
}

// cell is foreign text cut to fit a table.
func cell(s string) string {
	return cut(oneLine(s), cellRunes)
}

// cut shortens s to n runes; the last of them then says so.
func cut(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:max(n-1, 0)]) + "…"
}

// clock and span are "" for what is unset.
func clock(t *timestamppb.Timestamp) string {
	if t == nil {
		return ""
	}
	return t.AsTime().Format(timeFormat)
}

func span(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return d.AsDuration().Round(time.Millisecond).String()
}
