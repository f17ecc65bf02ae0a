//go:build !unix

package bench

// ownCPU is the CPU time of this process in seconds; 0 where it can't be known.
func ownCPU() float64 { return 0 }
