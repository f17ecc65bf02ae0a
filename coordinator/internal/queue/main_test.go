package queue

import (
	"flag"
	"os"
	"testing"
)

// modelChecks is the number of random sequences that a plain `go test` runs; -rapid.checks
// asks for another.
const modelChecks = "500"

func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("rapid.nofailfile", "true"); err != nil { // the seed tells as much
		panic(err)
	}
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "rapid.checks" })
	if !chosen && !testing.Short() {
		if err := flag.Set("rapid.checks", modelChecks); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}
