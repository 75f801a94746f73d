package place

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// EnterName is argv[0] of the benchmark when it is to become another one, inside
// a group and a namespace. No program that is entered bears it.
const EnterName = "crosscc-bench-enter"

// Enter is `crosscc-bench-enter WHAT PROGRAM NAME ARG…`: for each letter of WHAT
// there is a descriptor from 3 on, n for a network namespace to enter, g for a
// group's door; then PROGRAM is run as NAME. It returns only when that fails.
func Enter(args []string) error {
	if len(args) < 3 {
		return errors.New("not for people: the benchmark starts its programs with it")
	}
	runtime.LockOSThread()
	for i, what := range args[0] {
		fd := 3 + i
		unix.CloseOnExec(fd)
		switch what {
		case 'n':
			if err := unix.Setns(fd, unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("enter a network namespace: %w", err)
			}
		case 'g':
			if _, err := unix.Write(fd, []byte("0")); err != nil {
				return fmt.Errorf("join a group: %w", err)
			}
		}
	}
	if err := syscall.Exec(args[1], args[2:], os.Environ()); err != nil {
		return fmt.Errorf("run %s: %w", strings.Join(args[2:], " "), err)
	}
	return nil
}
