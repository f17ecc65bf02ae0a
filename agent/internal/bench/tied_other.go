//go:build !linux

package bench

import "syscall"

// tiedToUs does nothing here: a killed bench leaves its programs behind.
func tiedToUs() *syscall.SysProcAttr { return nil }
