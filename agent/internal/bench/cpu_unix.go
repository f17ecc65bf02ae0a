//go:build unix

package bench

import "syscall"

// ownCPU is the CPU time of this process in seconds; 0 where it can't be known.
func ownCPU() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
