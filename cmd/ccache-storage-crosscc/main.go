// Command ccache-storage-crosscc is what ccache starts for a remote storage on a
// crosscc helper. The program is crsh.Main; this file only lends it the process.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/crosscc/crosscc/broker/ccache/crsh"
)

func main() {
	// It outlives the build that started it, whose directory it must not hold.
	if err := os.Chdir("/"); err != nil {
		os.Exit(1)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	exit := crsh.Main(ctx, crsh.Env{Stdout: os.Stdout, Stderr: os.Stderr, Environ: os.Environ()}, os.Args[1:])
	stop()
	os.Exit(exit)
}
