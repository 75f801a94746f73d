package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/config/hostlist"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/rendezvous"
	"github.com/crosscc/crosscc/broker/monitor"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/doctor"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
	"github.com/crosscc/crosscc/toolchains/rootfs"
)

// doctor is `crossctl doctor`.
func (c *control) doctor(cmd *cobra.Command, _ []string) error {
	r := doctor.Look(cmd.Context(), c.system())
	if err := c.page.Print(r, func(w io.Writer) { showReport(w, r) }); err != nil {
		return err
	}
	if r.Findings > 0 {
		return words.ErrFinding
	}
	return nil
}

// showReport lays a report out for people.
func showReport(w io.Writer, r doctor.Report) {
	var rows [][]string
	for _, check := range r.Checks {
		state := "ok"
		if !check.Well {
			state = "FINDING"
		}
		rows = append(rows, []string{state, words.Cell(check.Name), words.Cell(check.Text)})
		if check.Mend != "" {
			rows = append(rows, []string{"", "mend it by", words.Plain(check.Mend)})
		}
	}
	words.Table(w, rows)
	switch r.Findings {
	case 0:
		fmt.Fprintln(w, "all is well")
	case 1:
		fmt.Fprintln(w, "1 finding")
	default:
		fmt.Fprintf(w, "%d findings\n", r.Findings)
	}
}

// system is this machine, in this environment.
func (c *control) system() doctor.System {
	environ, here := c.env.Environ, filepath.Dir(c.executable())
	log := "" // asking the agent says what is wrong then
	if dirs, err := rendezvous.DirsOf(environ); err == nil {
		log = words.QuoteWord(dirs.Log())
	}
	return doctor.System{
		Build:  local.BuildID(),
		Log:    log,
		InPath: func(name string) (string, error) { return inPath(environ, name) },
		Beside: func(name string) (string, error) {
			if path := filepath.Join(here, name); filepath.IsAbs(path) && rendezvous.Executable(path) {
				return path, nil
			}
			return "", fmt.Errorf("%s is not beside crossctl", name)
		},
		BuildOf: func(ctx context.Context, path string) (string, error) { return buildOf(ctx, environ, path) },
		Hosts:   func() ([]string, error) { return hosts(environ) },
		Project: func() (string, error) { return project(environ) },
		Agent: func(ctx context.Context) (s monitor.Status, err error) {
			data, err := c.ask(ctx, "status", nil, started)
			if err == nil {
				err = json.Unmarshal(data, &s)
			}
			return s, err
		},
		Helpers: c.helpers,
	}
}

const (
	// versionWait bounds --version of one of crosscc's own programs.
	versionWait = 10 * time.Second
	// maxVersion bounds what it may print, in bytes.
	maxVersion = 4096
)

// buildOf asks one of crosscc's programs for its build: the first line of its
// --version is "NAME BUILD" or "NAME VERSION (build BUILD)".
func buildOf(ctx context.Context, environ []string, path string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, versionWait)
	defer cancel()
	out := head{full: cancel}
	cmd := exec.CommandContext(ctx, path, "--version")
	cmd.Env, cmd.Stdout, cmd.WaitDelay = environ, &out, time.Second
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s --version: %w", path, err)
	}
	line, _, _ := strings.Cut(out.text.String(), "\n")
	name, build, ok := strings.Cut(line, " ")
	if !ok || name != filepath.Base(path) {
		return "", fmt.Errorf("%s --version says %q", path, line)
	}
	if _, in, ok := strings.Cut(build, " (build "); ok {
		build = strings.TrimSuffix(in, ")")
	}
	return build, nil
}

// head keeps the beginning of what is written to it, and calls full when there
// is more.
type head struct {
	text strings.Builder
	full func()
}

func (h *head) Write(p []byte) (int, error) {
	if h.text.Len()+len(p) > maxVersion {
		h.full()
		return 0, errors.New("too long for a version")
	}
	return h.text.Write(p)
}

// maxConfig bounds a configuration file, in bytes.
const maxConfig = 1 << 20

// project says what pins toolchains here.
func project(environ []string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", nil // no project has it
	}
	root, err := rootfs.At("/")
	if err != nil {
		return "", err
	}
	defer root.Close() //nolint:errcheck // only read from
	p, err := config.FindProject(root, dir, uint32(os.Geteuid()))
	if err != nil {
		return "", err
	}
	c, err := config.LoadClient(readConfig, func(name string) string { return local.Getenv(environ, name) }, p)
	if err != nil && p != nil {
		return "", err
	}
	if err != nil || c.Toolchain.None() {
		return "", nil // the check of the host list has what is wrong
	}
	return c.ToolchainFrom + " pins " + strings.Join(c.Toolchain.Rows(), ", "), nil
}

// hosts are the addresses of the host list that a build of this environment
// would use.
func hosts(environ []string) ([]string, error) {
	c, err := config.LoadClient(readConfig, func(name string) string { return local.Getenv(environ, name) }, nil)
	if err != nil {
		return nil, err
	}
	if len(c.Helpers()) == 0 {
		return nil, fmt.Errorf("%s: names no helper, so all jobs are local", c.HostsFrom)
	}
	var list []string
	for _, h := range c.Helpers() {
		if h.Kind == hostlist.InProcess {
			continue
		}
		list = append(list, h.Address())
	}
	return list, nil
}

// readConfig reads one configuration file. One that is a pipe is not waited for.
func readConfig(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("%s is larger than %d bytes", name, maxConfig)
	}
	return data, err
}
