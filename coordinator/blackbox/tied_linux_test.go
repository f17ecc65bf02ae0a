package blackbox

import "syscall"

// tiedToUs has the system kill a process when the test program is killed before it could.
func tiedToUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
