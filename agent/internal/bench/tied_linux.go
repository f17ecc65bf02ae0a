package bench

import "syscall"

// tiedToUs has the system end a program when the bench is killed before it could.
func tiedToUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
