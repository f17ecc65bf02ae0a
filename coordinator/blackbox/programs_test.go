package blackbox

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
)

// The programs under test, by name and package.
const (
	coordinatorName = "stint-coordinator"
	agentName       = "stint-agent"
)

var packages = map[string]string{coordinatorName: "./coordinator", agentName: "./agent"}

// root is the folder of the module; tests run in their own.
const root = "../.."

// programs is the folder with both programs, built at the first call.
var programs = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "stint-blackbox-")
	if err != nil {
		return "", err
	}
	built = dir
	for name, pkg := range packages {
		args := []string{"build", "-trimpath", "-o", filepath.Join(dir, name+suffix())}
		if raced {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, pkg)...)
		build.Dir = root
		if !raced {
			build.Env = append(os.Environ(), "CGO_ENABLED=0")
		}
		if out, err := build.CombinedOutput(); err != nil {
			return "", fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
		}
	}
	return dir, nil
})

// built is the folder to remove at the end; empty while no test has needed the programs.
var built string

func removePrograms() error {
	if built == "" {
		return nil
	}
	return os.RemoveAll(built)
}

// program is the path of one of the programs.
func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := programs()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name+suffix())
}

func suffix() string {
	if runtime.GOOS == "windows" {
		return ".exe"
	}
	return ""
}
