package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

const (
	programName = "stint-agent"

	// helpColumns is the widest that help is set: longer lines are hard to read.
	helpColumns = 120
)

// negative is what looks like a flag and is meant as a number, as in `run -1`.
var negative = regexp.MustCompile(`^-[0-9.]+$`)

// number is what may follow the program's name in place of a command: MAX_TASKS of run.
var number = regexp.MustCompile(`^[+-]?[0-9][0-9.,_]*$`)

// arrange checks the words of a command line that the library would misread. It refuses a first word that is no command
// (the library takes it for an argument of run), and puts negative numbers given to run where no flag can stand.
func arrange(root *kong.Node, args []string) ([]string, error) {
	for i, arg := range args {
		if !utf8.ValidString(arg) {
			return nil, fmt.Errorf("argument %d, %q, is not UTF-8 text; give it in UTF-8", i+1, arg)
		}
	}
	if len(args) == 0 {
		return args, nil
	}
	first := args[0]
	switch {
	case first == "run" || negative.MatchString(first):
		return numbersLast(args), nil
	case strings.HasPrefix(first, "-") || number.MatchString(first) || slices.Contains(commands(root), first):
		return args, nil
	default:
		return nil, fmt.Errorf("unknown command %q; give one of %s", first, strings.Join(commands(root), ", "))
	}
}

func commands(root *kong.Node) []string {
	var names []string
	for _, child := range root.Children {
		names = append(names, child.Name)
	}
	return names
}

// numbersLast moves negative numbers that aren't a flag's value behind a "--".
func numbersLast(args []string) []string {
	var words, numbers []string
	for i, arg := range args {
		if arg == "--" {
			return args
		}
		value := i > 0 && strings.HasPrefix(args[i-1], "--") && !strings.Contains(args[i-1], "=")
		if negative.MatchString(arg) && !value {
			numbers = append(numbers, arg)
		} else {
			words = append(words, arg)
		}
	}
	if numbers == nil {
		return args
	}
	return append(append(words, "--"), numbers...)
}

// usage prints the usage of the command that was meant to standard error, and answers the error with its remedy.
func (a *app) usage(parser *kong.Kong, err error) error {
	meant, help := program(parser), programName+" --help"
	if parsed := (*kong.ParseError)(nil); errors.As(err, &parsed) {
		meant = parsed.Context
		if node := meant.Selected(); node != nil {
			help = node.FullPath() + " --help"
		}
	}
	parser.Stdout = a.stderr
	if meant != nil {
		_ = meant.PrintUsage(true) // what matters is the error; that the usage can't be shown changes nothing
	}
	if strings.Contains(err.Error(), "unknown flag") {
		return fmt.Errorf("%w; put -- before arguments that begin with -; %s tells more", err, help)
	}
	return fmt.Errorf("%w; %s tells more", err, help)
}

// program answers the context of the whole program, in which no command is selected, or nil. No arguments would select
// the default command; one that can't be parsed selects none.
func program(parser *kong.Kong) *kong.Context {
	root, err := kong.Trace(parser, []string{"--" + programName})
	if err != nil {
		return nil
	}
	return root
}
