package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"path/filepath"
	"runtime/debug"
	"sync"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/broker/agent"
	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/broker/fleet"
	"github.com/crosscc/crosscc/broker/helper"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
	"github.com/crosscc/crosscc/broker/reapi"
	"github.com/crosscc/crosscc/broker/trust"
)

// gcPercent is how much an agent's heap grows before it is collected: it is small
// (some MiB of what is known of headers), a job makes hundreds of KiB of garbage,
// and a collection stops what else the agent does. Idle, it gives all back.
const gcPercent = 200

// runAgent answers wrappers until the agent is idle, replaced or told to stop.
func runAgent(ctx context.Context, env Env, args []string) error {
	local.CloseInherited() // the build's pipes and jobserver are not ours to hold open
	dirs, err := rendezvous.DirsOf(env.Environ)
	if err != nil {
		return err
	}
	fs := flag.NewFlagSet("agent", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&dirs.Socket, "socket", dirs.Socket, "")
	fs.String("config", "", "")
	if err := fs.Parse(args); err != nil {
		return fmt.Errorf("%w: agent: %w", errUsage, err)
	}
	if fs.NArg() > 0 {
		return fmt.Errorf("%w: agent takes no word %q", errUsage, fs.Arg(0))
	}
	log, err := logger(env.Stderr, env.getenv("CROSSCC_LOG_LEVEL"))
	if err != nil {
		return err
	}
	l, err := rendezvous.Listen(dirs.Socket)
	if errors.Is(err, rendezvous.ErrServed) {
		return nil // another one was quicker
	}
	if err != nil {
		return err
	}
	debug.SetGCPercent(gcPercent)
	mine, err := trust.OpenSecret(ctx, dirs.State)
	if err != nil { // it does all but send packs
		log.WithError(err).Warn("no helper takes this machine's compilers")
	}
	d := &dialer{env: env, dirs: dirs, log: log, mine: mine}
	defer d.close()
	log.WithField("socket", dirs.Socket).Info("agent is ready")
	return agent.New(agent.Options{Dirs: dirs, Build: local.BuildID(), Dial: d.dial, Log: log}).Serve(ctx, l)
}

// A dialer makes the links to hosts. The helper inside the agent is made when
// the first job wants it: an idle agent stays small.
type dialer struct {
	env  Env
	dirs rendezvous.Dirs
	log  *logrus.Logger
	mine trust.Secret // the agent's own

	mu       sync.Mutex // guards embedded
	embedded *helper.Helper
}

func (d *dialer) dial(h hostlist.Host) (fleet.Link, error) {
	switch {
	case h.Kind == hostlist.InProcess:
		return fleet.Link{Run: d.runEmbedded, Watch: d.watchEmbedded, Key: d.keyEmbedded, Close: func() error { return nil }}, nil
	case h.Kind != hostlist.GRPC || h.TLS || h.Network == hostlist.SSH:
		return fleet.Link{}, fmt.Errorf("%s: hosts of this kind are not built yet", h.Word)
	}
	c, err := reapi.Dial(h.Address(), reapi.ClientOptions{Version: version(), Secret: d.mine})
	if err != nil {
		return fleet.Link{}, err
	}
	return fleet.Link{Run: c.Run, Watch: c.Watch, Key: c.Key, Pack: c.Pack, Close: c.Close}, nil
}

// watchEmbedded opens the helper inside the agent and tells of its state.
func (d *dialer) watchEmbedded(ctx context.Context, f func(broker.State)) error {
	h, err := d.helper(ctx)
	if err != nil {
		return err
	}
	if err := h.Ready(ctx); err != nil {
		return err
	}
	for {
		s, changed := h.State()
		f(s)
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (d *dialer) runEmbedded(ctx context.Context, j *broker.Job) (broker.Result, error) {
	h, err := d.helper(ctx)
	if err != nil {
		return broker.Result{}, err
	}
	return h.Run(ctx, j)
}

func (d *dialer) keyEmbedded(ctx context.Context, j *broker.Job) (string, error) {
	h, err := d.helper(ctx)
	if err != nil {
		return "", err
	}
	return h.Key(ctx, j)
}

func (d *dialer) helper(ctx context.Context) (*helper.Helper, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.embedded != nil {
		return d.embedded, nil
	}
	s, err := config.LoadServer("")
	if err != nil {
		return nil, err
	}
	s.State = filepath.Join(d.dirs.State, "helper")
	h, err := openHelper(ctx, d.env, s, d.log)
	if err == nil {
		d.embedded = h
	}
	return h, err
}

func (d *dialer) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.embedded == nil {
		return
	}
	if err := d.embedded.Close(); err != nil {
		d.log.WithError(err).Warn("close the helper")
	}
}
