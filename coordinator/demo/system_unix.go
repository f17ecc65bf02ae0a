//go:build unix

package main

import "syscall"

const suffix = ""

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
