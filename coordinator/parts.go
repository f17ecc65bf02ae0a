package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
)

// part is something that runs until its context ends.
type part func(ctx context.Context) error

// inOrder runs all parts at once. When ctx ends, or one of them does, it ends them one after
// the other in the order given, each after the one before has returned. cut is called when one
// ends by itself, also while others are ending: the rest need not be polite, and may wait for it in
// vain. It returns what went wrong.
func inOrder(ctx context.Context, cut func(), parts ...part) error {
	type running struct {
		cancel context.CancelFunc
		over   bool
		err    error
	}
	all := make([]running, len(parts))
	ended := make(chan int, len(parts))
	for i, p := range parts {
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		all[i].cancel = cancel
		go func() {
			all[i].err = p(own)
			ended <- i
		}()
	}
	select {
	case <-ctx.Done():
	case i := <-ended:
		all[i].over = true
		cut()
	}
	var errs []error
	for told := range all {
		for all[told].cancel(); !all[told].over; {
			i := <-ended
			if all[i].over = true; i > told {
				cut()
			}
		}
		errs = append(errs, all[told].err)
	}
	return errors.Join(errs...)
}

// signals gives a context that ends with the first signal to stop, and one that ends with the
// second. stop gives the signals back.
func signals() (soft, hard context.Context, stop func()) {
	soft, first := context.WithCancel(context.Background())
	hard, second := context.WithCancel(context.Background())
	got := make(chan os.Signal, 2)
	signal.Notify(got, endings()...)
	go func() {
		for ends := []func(){first, second}; len(ends) > 0; {
			select {
			case caught := <-got:
				if len(ends) == 1 && caught == syscall.SIGHUP {
					continue // a shell and the system both say that the terminal has gone
				}
				ends[0]()
				ends = ends[1:]
			case <-hard.Done():
				return
			}
		}
	}()
	return soft, hard, func() {
		signal.Stop(got)
		first()
		second()
	}
}

// endings are the signals that ask a program to end; that of a terminal which goes away is one,
// unless nohup says otherwise.
func endings() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
}
