package bench

import (
	"bytes"
	"os"
	"runtime"
	"strings"
)

// Machine is where figures were taken.
type Machine struct {
	Cores  int    `json:"cores"`
	CPU    string `json:"cpu,omitempty"`
	Kernel string `json:"kernel,omitempty"`
	Memory int64  `json:"memory_bytes,omitempty"`
	System string `json:"system"`
	Go     string `json:"go"`
}

func thisMachine() Machine {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease") // elsewhere it stays empty
	memory, _ := os.ReadFile("/proc/meminfo")
	return Machine{
		Cores: runtime.NumCPU(), CPU: cpuModel(), Kernel: strings.TrimSpace(string(kernel)),
		Memory: entry(memory, "MemTotal:") << 10, System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
	}
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	for line := range bytes.Lines(info) {
		if name, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(name)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return ""
}
