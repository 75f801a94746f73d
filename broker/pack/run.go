package pack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/crosscc/crosscc/toolchains/drivers"
)

const (
	// askTime bounds one question to a compiler.
	askTime = 20 * time.Second
	// maxAnswer bounds what it says.
	maxAnswer = 8 << 20
)

// here runs compilers of this machine as the user who asked for the pack.
func here(searchPath string) drivers.RunFunc {
	return func(ctx context.Context, p drivers.Program) (drivers.Output, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, askTime, fmt.Errorf("no answer in %s", askTime))
		defer cancel()
		cmd := exec.CommandContext(ctx, p.Path, p.Args...)
		var stdout, stderr bounded
		cmd.Env, cmd.Dir = append([]string{"PATH=" + searchPath}, p.Env...), "/"
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(p.Stdin), &stdout, &stderr
		cmd.WaitDelay = time.Second
		err := cmd.Run()
		if ctx.Err() != nil {
			return drivers.Output{}, context.Cause(ctx)
		}
		if e, ok := errors.AsType[*exec.ExitError](err); ok && e.Exited() {
			err = nil
		}
		if err != nil {
			return drivers.Output{}, err
		}
		return drivers.Output{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), Status: cmd.ProcessState.ExitCode()}, nil
	}
}

// bounded takes at most maxAnswer bytes.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > maxAnswer {
		return 0, fmt.Errorf("an answer of more than %d bytes", maxAnswer)
	}
	return b.Buffer.Write(p)
}
