// Package daemon is the program behind cmd/crossccd: it reads the command
// line and the configuration, makes a helper or an agent of them, and serves
// until it is told to stop. Start with Main.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker/local"
)

// usage is what `crossccd --help` prints. Each option is one line.
const usage = `usage: crossccd serve [OPTIONS]    compile for others on this machine
       crossccd agent [OPTIONS]    answer the wrappers of this user (started by crosscc itself)
       crossccd --help | --version

serve:
  --config F        configuration file (default /etc/crosscc/crossccd.toml)
  --grpc ADDR       door for REAPI (default 127.0.0.1:3634)
  --distcc ADDR     door for distcc (default off: not built yet)
  --http ADDR       ccache's storage, at /ccache/ (default off)
  --stats ADDR      distcc's statistics (default off: not built yet)
  --allow CIDR      who may connect from elsewhere than this machine; may be given again
  --state DIR       store and probe results (default /var/lib/crosscc, or the user's state directory)
  --jobs N          compiles at once (default: one for each processor)
  --sandbox KIND    bwrap (default), docker (the Engine of this machine), none
  --ready-file F    gets a line for each open door: grpc 127.0.0.1:40123

  ADDR is host:port (port 0 picks one), unix:/path or off.

agent:
  --config F        unused: what an agent needs travels with each job
  --socket PATH     where wrappers find it

A helper for the machines of one network, and a build that uses it:
  crossccd serve --grpc 0.0.0.0:3634 --allow 192.168.1.0/24
  CROSSCC_HOSTS=grpc://helper make CC="crosscc gcc"
`

// Env is what the program needs of its process.
type Env struct {
	Stdout, Stderr io.Writer
	Environ        []string
}

func (e Env) getenv(key string) string { return local.Getenv(e.Environ, key) }

// errUsage marks mistakes in the command line: exit status 2.
var errUsage = errors.New("usage")

// Main runs the daemon until ctx ends and reports its exit status: 0 well, 1
// when it could not do its work, 2 for a mistake in the command line or a part
// that is not built yet. It never calls os.Exit.
func Main(ctx context.Context, env Env, args []string) int {
	err := run(ctx, env, args)
	if err == nil {
		return 0
	}
	fmt.Fprintf(env.Stderr, "crossccd: error: %v\n", err)
	if errors.Is(err, errUsage) {
		fmt.Fprintf(env.Stderr, "crossccd: hint: crossccd --help\n")
		return 2
	}
	return 1
}

func run(ctx context.Context, env Env, args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("%w: say serve or agent", errUsage)
	}
	switch args[0] {
	case "serve":
		return serve(ctx, env, args[1:])
	case "agent":
		return runAgent(ctx, env, args[1:])
	case "--help", "-h", "-help", "help":
		_, err := io.WriteString(env.Stdout, usage)
		return err
	case "--version", "-version", "version":
		_, err := fmt.Fprintf(env.Stdout, "crossccd %s (build %s)\n", version(), local.BuildID())
		return err
	}
	return fmt.Errorf("%w: unknown command %q", errUsage, args[0])
}

// version is the module's, for people.
func version() string {
	if bi, ok := debug.ReadBuildInfo(); ok && bi.Main.Version != "" {
		return bi.Main.Version
	}
	return "(devel)"
}

// logger writes to w as text, or as JSON, at the level that is asked for.
func logger(w io.Writer, level string) (*logrus.Logger, error) {
	log := logrus.New()
	log.SetOutput(w)
	log.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, DisableColors: true})
	if level == "" {
		return log, nil
	}
	l, err := logrus.ParseLevel(level)
	if err != nil {
		return nil, fmt.Errorf("log level: %w", err)
	}
	log.SetLevel(l)
	return log, nil
}
