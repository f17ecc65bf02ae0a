package sandbox

import (
	"fmt"
	"math/big"
	"regexp"
)

// sum is a question for + - * / of two integers and nothing besides. Numbers have at most 18 digits.
var sum = regexp.MustCompile(`(?i)^\s*(?:what\s+is|what['’]s|how\s+much\s+is|calculate|compute)?\s*` +
	`([+-]?\d{1,18})\s*([-+*/×÷])\s*([+-]?\d{1,18})\s*[=?.!\s]*$`)

// decimals is how many places a quotient that isn't whole is shown with.
const decimals = 6

// arithmetic answers a prompt like "What is 2+2?", exactly; false when the prompt is something else.
func arithmetic(prompt string) (line string, ok bool) {
	m := sum.FindStringSubmatch(prompt)
	if m == nil {
		return "", false
	}
	a, _ := new(big.Rat).SetString(m[1]) // the pattern lets only integers through
	b, _ := new(big.Rat).SetString(m[3])
	left := a.RatString() + " " + m[2] + " " + b.RatString()
	switch m[2] {
	case "+":
		a.Add(a, b)
	case "-":
		a.Sub(a, b)
	case "*", "×":
		a.Mul(a, b)
	default:
		if b.Sign() == 0 {
			return left + " has no value: division by zero.", true
		}
		a.Quo(a, b)
	}
	return left + value(a), true
}

// value shows a whole number whole, any other with six decimals, and says so if that isn't all of it.
func value(r *big.Rat) string {
	if r.IsInt() {
		return " = " + r.RatString()
	}
	text := r.FloatString(decimals)
	if shown, _ := new(big.Rat).SetString(text); shown.Cmp(r) == 0 {
		return " = " + text
	}
	return fmt.Sprintf(" = %s (rounded to %d decimals)", text, decimals)
}
