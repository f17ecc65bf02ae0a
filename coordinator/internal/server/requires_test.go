package server

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	stintv1 "github.com/stint-dev/stint/gen/stint/v1"

	"github.com/stint-dev/stint/coordinator/internal/queue"
)

// Each form of an expression, with spaces where they do not matter; reads show the one spelling.
func TestRequirementForms(t *testing.T) {
	one := func(key string, op queue.Op, values ...string) queue.Requirement {
		return queue.Requirement{Key: key, Op: op, Values: values}
	}
	for text, want := range map[string]struct {
		shown string
		queue.Requirement
	}{
		"gpu=true":                  {"gpu=true", one("gpu", queue.In, "true")},
		" gpu = true\t":             {"gpu=true", one("gpu", queue.In, "true")},
		"gpu=":                      {"gpu=", one("gpu", queue.In, "")},
		"gpu!=true":                 {"gpu!=true", one("gpu", queue.NotIn, "true")},
		"gpu != true":               {"gpu!=true", one("gpu", queue.NotIn, "true")},
		"region in (us,eu)":         {"region in (eu,us)", one("region", queue.In, "eu", "us")},
		"region in( us , eu,us )":   {"region in (eu,us)", one("region", queue.In, "eu", "us")},
		"region in (eu)":            {"region=eu", one("region", queue.In, "eu")},
		"region notin (us,eu)":      {"region notin (eu,us)", one("region", queue.NotIn, "eu", "us")},
		"region  notin\t(eu)":       {"region!=eu", one("region", queue.NotIn, "eu")},
		"gpu":                       {"gpu", one("gpu", queue.Exists)},
		" in ":                      {"in", one("in", queue.Exists)},
		"in in (in)":                {"in=in", one("in", queue.In, "in")},
		"!spot":                     {"!spot", one("spot", queue.Absent)},
		"! spot":                    {"!spot", one("spot", queue.Absent)},
		"a.b/c-d_e=x:/@+-._":        {"a.b/c-d_e=x:/@+-._", one("a.b/c-d_e", queue.In, "x:/@+-._")},
		"k in (" + values(64) + ")": {"", one("k", queue.In, strings.Split(values(64), ",")...)},
	} {
		got, why := requirement(text)
		if why != "" || !reflect.DeepEqual(got, want.Requirement) {
			t.Errorf("%q reads as %+v (%s), want %+v", text, got, why, want.Requirement)
		}
		if shown := spelled(text); want.shown != "" && strings.Trim(shown, blanks) != want.shown {
			t.Errorf("%q is shown as %q, want %q", text, shown, want.shown)
		}
	}
}

// values gives so many values in order, with commas.
func values(n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("v%02d", i)
	}
	return strings.Join(all, ",")
}

// What cannot be read is refused by its place, with the remedy.
func TestRequirementFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "not a label key",
		"!":                             "not a label key",
		"!gpu=true":                     "not a label key",
		"-gpu":                          "not a label key",
		strings.Repeat("k", 64):         "1 to 63 of letters",
		"gpu==true":                     `"=true" is not a label value`,
		"gpu=tr ue":                     `"tr ue" is not a label value`,
		"gpu>1":                         "not a label key",
		"gpu > 1":                       "write gpu=value, gpu!=value, gpu in (a,b), gpu notin (a,b), gpu or !gpu",
		"gpu true":                      "cannot follow the key",
		"gpu inside (a)":                "cannot follow the key",
		"gpu !":                         "cannot follow the key",
		"gpu (a)":                       "cannot follow the key",
		"region in":                     "values in parentheses; write e.g. region in (eu,us)",
		"region in eu":                  "values in parentheses",
		"region in (eu":                 "values in parentheses",
		"region in (eu) x":              "values in parentheses",
		"region in ()":                  "in parentheses at least 1",
		"region in (eu,)":               "in parentheses at least 1",
		"region notin (eu,(us))":        `"(us)" is not a label value`,
		"k=" + strings.Repeat("v", 129): "at most 128 of letters",
		"k in (" + values(65) + ")":     "has 65 values, 64 are allowed",
	} {
		faults := checkRequires([]string{"fine", text})
		if len(faults) != 1 || faults[0].path != "requires[1]" || !strings.Contains(faults[0].text, want) {
			t.Errorf("%q: %v, want %q", text, faults, want)
		}
	}
}

// Two expressions that no agent can meet together are refused; others may stand side by side.
func TestRequirementsThatClash(t *testing.T) {
	for _, c := range []struct {
		a, b string
		bad  bool
	}{
		{"gpu=a", "gpu=b", true}, {"gpu in (a,b)", "gpu in (c,d)", true}, {"gpu", "!gpu", true}, {"!gpu", "gpu=a", true},
		{"gpu=a", "gpu=a", false}, {"gpu in (a,b)", "gpu in (b,c)", false}, {"gpu!=a", "gpu!=b", false},
		{"!gpu", "gpu!=a", false}, {"gpu=a", "cpu=b", false}, {"gpu", "gpu!=a", false},
	} {
		faults := checkRequires([]string{c.a, c.b})
		if bad := len(faults) == 1 && faults[0].path == "requires[1]"; bad != c.bad {
			t.Errorf("%s and %s: %v", c.a, c.b, faults)
		}
	}
}

// C3: spaces and the order of values are no content; the core gets one canonical set.
func TestRequiresAreContent(t *testing.T) {
	plain := specOf(t, &stintv1.Task{Id: "a", Requires: []string{"region in (eu,us)", "gpu=true"}})
	same := specOf(t, &stintv1.Task{Id: "a", Requires: []string{" region in ( us, eu )", "gpu = true"}})
	other := specOf(t, &stintv1.Task{Id: "a", Requires: []string{"region notin (eu,us)", "gpu=true"}})
	if plain.Digest != same.Digest || plain.Digest == other.Digest {
		t.Error("the digests do not tell the same content from other")
	}
	want := []queue.Requirement{
		{Key: "gpu", Op: queue.In, Values: []string{"true"}}, {Key: "region", Op: queue.In, Values: []string{"eu", "us"}},
	}
	if !reflect.DeepEqual(same.Requires, want) {
		t.Errorf("the core gets %+v", same.Requires)
	}
	if got := stored(t, same).GetRequires(); got[0] != "region in (eu,us)" {
		t.Errorf("reads show %q", got)
	}
}
