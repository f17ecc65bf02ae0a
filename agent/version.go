package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// commitDigits is how much of a commit's name tells it apart.
const commitDigits = 12

// release is set by the linker for a release: -X main.release=v1.2.3.
var release string

// version says what program this is, to people and to the coordinator: a release, or the state of the sources it was
// built of.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return "dev-" + setting.Value[:min(len(setting.Value), commitDigits)]
		}
	}
	return "dev"
}

// versionCmd prints one line.
type versionCmd struct{}

// Run prints the program's version and the platform that it was built for.
func (versionCmd) Run(a *app) error {
	_, err := fmt.Fprintf(a.stdout, "%s %s %s %s/%s\n", programName, version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
