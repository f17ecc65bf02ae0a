package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// asker answers what asks the person at the terminal, or nil where the program has none to ask.
func asker(a *app) func(context.Context, string) (bool, error) {
	if !isTerminal(a.stdin) || !isTerminal(a.stderr) {
		return nil
	}
	return func(ctx context.Context, question string) (bool, error) { return ask(ctx, a.stdin, a.stderr, question) }
}

func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// ask puts a question; what isn't a yes is a no. A read can't be broken off, so one that an interrupt makes idle is left
// behind, to the end of the program.
func ask(ctx context.Context, in io.Reader, out io.Writer, question string) (bool, error) {
	if _, err := fmt.Fprintf(out, "%s [y/N] ", question); err != nil {
		return false, fmt.Errorf("ask: %w", err)
	}
	said := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // an end of the input is no yes
		said <- line
	}()
	select {
	case line := <-said:
		answer := strings.ToLower(strings.TrimSpace(line))
		return answer == "y" || answer == "yes", nil
	case <-ctx.Done():
		return false, fmt.Errorf("interrupted before the answer, so nothing was changed: %w", ctx.Err())
	}
}
