package daemon

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/helper"
	"github.com/crosscc/crosscc/broker/reapi/door"
	"github.com/crosscc/crosscc/broker/trust"
)

const (
	// drainTime is how long running jobs may take to finish after a signal.
	drainTime = 2 * time.Minute
	// proofTime bounds the sandbox's proof at the start.
	proofTime = time.Minute
)

// serverFlags is the command line of serve.
type serverFlags struct {
	config, ready string
	server        config.Server
}

// serve runs a helper until ctx ends, then lets running jobs finish.
func serve(ctx context.Context, env Env, args []string) error {
	f, err := parseServe(env, args)
	if err != nil {
		return err
	}
	log, err := logger(env.Stderr, env.getenv("CROSSCC_LOG_LEVEL"))
	if err != nil {
		return err
	}
	h, err := openHelper(ctx, env, f.server, log)
	if err != nil {
		return err
	}
	defer func() {
		if err := h.Close(); err != nil {
			log.WithError(err).Warn("close")
		}
	}()
	if err := h.Ready(ctx); err != nil {
		return err
	}
	return serveDoors(ctx, f, h, log)
}

func openHelper(ctx context.Context, env Env, s config.Server, log logrus.FieldLogger) (*helper.Helper, error) {
	ctx, cancel := context.WithTimeout(ctx, proofTime)
	defer cancel()
	return helper.Open(ctx, helper.Setup{
		Dir: s.State, CacheSize: s.CacheSize, Slots: s.Jobs, Sandbox: s.Sandbox, Search: s.Search,
		Images: s.Images, ImagesSize: s.ImagesSize, Packs: s.Packs,
		Path: pathOf(env), Version: version(), Log: log,
	})
}

// pathOf is where compilers are looked for: the daemon's own PATH, or what a
// login has when it was started without one.
func pathOf(env Env) string {
	if p := env.getenv("PATH"); p != "" {
		return p
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

// A doorAt is a door at an address of the configuration.
type doorAt struct {
	name   string // in the ready file
	addr   config.Address
	limits trust.Limits
	serve  func(net.Listener) error
	drain  func(context.Context) error // lets what runs end
	close  func()                      // stops it
}

// serveDoors opens the doors, says so in the ready file, and serves.
func serveDoors(ctx context.Context, f serverFlags, h *helper.Helper, log logrus.FieldLogger) error {
	allow, err := trust.ParseAllow(f.server.Allow)
	if err != nil {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	srv := door.New(door.Backend{Run: h.Run, Key: h.Key, Pack: h.TakePack, Heard: h.Heard, Store: h.Store(), State: h.State, Logf: log.Infof}, door.Options{})
	doors := []doorAt{
		{name: "grpc", addr: f.server.GRPC, serve: srv.Serve, drain: srv.Drain, close: srv.Close},
		httpDoor(f.server.HTTP, h.Store(), log),
	}
	failed := make(chan error, len(doors))
	open, ready := log, ""
	for _, d := range doors {
		if d.addr.Off() {
			continue
		}
		d.limits.Refused = func(peer net.Addr, why string) {
			log.WithField("peer", peer).Info("connection refused: " + why)
		}
		l, err := trust.Listen(d.addr.String(), allow, d.limits)
		if err != nil {
			return fmt.Errorf("%s door: %w", d.name, err)
		}
		defer d.close()
		go func() { failed <- fmt.Errorf("%s door: %w", d.name, d.serve(l)) }()
		open, ready = open.WithField(d.name, doorOf(l)), ready+d.name+" "+doorOf(l)+"\n"
	}
	open.Info("helper is ready")
	if err := writeReady(f.ready, ready); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	log.Info("helper leaves: running jobs may finish")
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTime)
	defer cancel()
	err = h.Drain(drain)
	for _, d := range doors {
		err = errors.Join(err, d.drain(drain))
	}
	return err
}

func doorOf(l net.Listener) string {
	if a := l.Addr(); a.Network() == "unix" {
		return "unix:" + a.String()
	}
	return l.Addr().String()
}

// writeReady says in the ready file which doors are open. The file appears
// whole: whoever waits for it reads all of it.
func writeReady(name, text string) error {
	if name == "" {
		return nil
	}
	temp := name + ".new"
	if err := os.WriteFile(temp, []byte(text), 0o644); err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	if err := os.Rename(temp, name); err != nil {
		return fmt.Errorf("ready file: %w", err)
	}
	return nil
}

// parseServe reads the command line over the configuration file.
func parseServe(env Env, args []string) (serverFlags, error) {
	var f serverFlags
	fs := flag.NewFlagSet("serve", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.StringVar(&f.config, "config", "", "")
	fs.StringVar(&f.ready, "ready-file", "", "")
	var set []func(*config.Server) error
	over := func(name string, apply func(s *config.Server, v string) error) {
		fs.Func(name, "", func(v string) error {
			set = append(set, func(s *config.Server) error { return apply(s, v) })
			return apply(new(config.Server), v) // a mistake is the flag's, not the file's
		})
	}
	over("grpc", func(s *config.Server, v string) error { return s.GRPC.Set(v) })
	over("distcc", func(s *config.Server, v string) error { return s.Distcc.Set(v) })
	over("http", func(s *config.Server, v string) error { return s.HTTP.Set(v) })
	over("stats", func(s *config.Server, v string) error { return s.Stats.Set(v) })
	over("state", func(s *config.Server, v string) (err error) { s.State, err = filepath.Abs(v); return err })
	over("sandbox", setSandbox)
	over("jobs", setJobs)
	over("allow", func(s *config.Server, v string) error {
		s.Allow = append(s.Allow, v)
		_, err := trust.ParseAllow([]string{v})
		return err
	})
	if err := fs.Parse(args); err != nil {
		return f, fmt.Errorf("%w: serve: %w", errUsage, err)
	}
	if fs.NArg() > 0 {
		return f, fmt.Errorf("%w: serve takes no word %q", errUsage, fs.Arg(0))
	}
	var err error
	if f.server, err = config.LoadServer(f.config); err != nil {
		return f, err
	}
	for _, apply := range set {
		if err := apply(&f.server); err != nil {
			return f, err
		}
	}
	if f.server.State == "" {
		f.server.State, err = config.DefaultState(env.getenv)
	}
	if err == nil {
		err = unbuilt(f.server)
	}
	return f, err
}

func setSandbox(s *config.Server, v string) error {
	if v != "bwrap" && v != "docker" && v != "none" {
		return fmt.Errorf("sandbox %q: say bwrap, docker or none", v)
	}
	s.Sandbox = v
	return nil
}

func setJobs(s *config.Server, v string) error {
	if n, err := fmt.Sscanf(v, "%d", &s.Jobs); n != 1 || err != nil || s.Jobs < 1 || strings.TrimLeft(v, "0123456789") != "" {
		return fmt.Errorf("jobs %q: want a whole number from 1 on", v)
	}
	return nil
}

// unbuilt says which wanted parts do not exist yet.
func unbuilt(s config.Server) error {
	if s.GRPC.Off() && s.HTTP.Off() {
		return fmt.Errorf("%w: no door is open: give --grpc an address", errUsage)
	}
	for _, d := range []struct {
		name string
		on   bool
	}{
		{"--distcc", !s.Distcc.Off()}, {"--stats", !s.Stats.Off()},
	} {
		if d.on {
			return fmt.Errorf("%w: %s is not built yet", errUsage, d.name)
		}
	}
	return nil
}
