// Package image is what crossctl does with container images: `crossctl image`, which
// keeps the images that a helper on this machine compiles with, and `crossctl pack`,
// which makes one of this machine's compilers.
//
// A newcomer starts with Command.Run and Pack.Run. How an image is found and kept is
// packages images and imagestore; how a pack is made is package broker/pack.
package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/spf13/pflag"

	"github.com/crosscc/crosscc/broker/config"
	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/images/imagestore"
)

// Help is the text of `crossctl image --help`.
const Help = `usage: crossctl image pin NAME:TAG | docker:NAME:TAG | FILE
       crossctl image add NAME@DIGEST | docker:NAME@DIGEST | FILE...
       crossctl image ls
       crossctl image rm IMAGE...
       crossctl image verify [IMAGE...]

Keep the container images that a helper on this machine compiles with.

pin prints the row for crossccd.toml that names an image for good, by its
digest. It asks the registry; with docker: the Docker Engine. add fetches an
image, verifies each byte of it and unpacks it; a helper that runs offers its
compilers soon after. It looks into the Docker Engine first, then asks the
registry. FILE is a docker archive (docker save), an OCI archive, or a directory
in OCI layout; PATH@DIGEST picks one of several. IMAGE is a digest, its first
digits, or a name. verify reads images again, all where none is named, and
exits with 1 when one is not as it was.

      --state DIR      the helper's state directory (crossccd serve --state)
      --config FILE    the helper's configuration, which may say that
      --docker ADDR    the Docker Engine: unix:///run/docker.sock, or off
      --json           print JSON

example:
  $ crossctl image pin debian:bookworm >> /etc/crosscc/crossccd.toml
  $ docker save my/riscv-tools:3 -o tools.tar
  $ crossctl image add tools.tar
  $ crossctl image ls
`

// A Command is `crossctl image` with its options.
type Command struct {
	Environ []string // as K=V words
	Page    *words.Page

	state, config, docker string
}

// Flags declares the options.
func (c *Command) Flags(f *pflag.FlagSet) {
	f.StringVar(&c.state, "state", "", "")
	f.StringVar(&c.config, "config", "", "")
	f.StringVar(&c.docker, "docker", "", "")
}

// Run is `crossctl image ARGS`. Its errors are for words.Report.
func (c *Command) Run(ctx context.Context, args []string) error {
	commands := map[string]struct {
		min, max int
		run      func(context.Context, []string) error
	}{
		"pin":    {1, 1, c.pin},
		"add":    {1, 100, c.add},
		"ls":     {0, 0, c.list},
		"rm":     {1, 100, c.remove},
		"verify": {0, 100, c.verify},
	}
	if len(args) == 0 {
		return words.Misused("image", "image: say pin, add, ls, rm or verify")
	}
	sub, ok := commands[args[0]]
	rest := args[1:]
	switch {
	case !ok:
		return words.Misused("image", "image: unknown command %q", args[0])
	case len(rest) < sub.min:
		return words.Misused("image", "image %s: no image given", args[0])
	case len(rest) > sub.max:
		return words.Misused("image", "image %s: unexpected operand %q", args[0], rest[sub.max])
	}
	return sub.run(ctx, rest)
}

// pinned is what pin found.
type pinned struct {
	Reference string `json:"reference"`
	From      string `json:"from"`             // where
	Source    string `json:"source,omitempty"` // the file that has it
	Pull      bool   `json:"pull"`             // its registry has it
	Notes     string `json:"notes"`
}

// pin is `crossctl image pin`.
func (c *Command) pin(ctx context.Context, args []string) error {
	pin, from, err := images.Resolve(ctx, args[0], images.SourceOptions{Pull: true, Engine: c.docker})
	if err != nil {
		return err
	}
	p := pinned{Reference: pin.String(), From: from, Pull: strings.HasPrefix(from, "registry ")}
	p.Notes = fmt.Sprintf("%s on %s", args[0], time.Now().UTC().Format(time.DateOnly))
	if _, err := os.Stat(from); err == nil {
		if p.Source, err = filepath.Abs(from); err != nil {
			return err
		}
	}
	return c.Page.Print(p, func(w io.Writer) {
		fmt.Fprintf(w, "[[image]]\nreference = %s\n", tomlText(p.Reference))
		if p.Source != "" {
			fmt.Fprintf(w, "source = %s\n", tomlText(p.Source))
		}
		if p.Pull {
			fmt.Fprintf(w, "pull = true\n")
		}
		fmt.Fprintf(w, "notes = %s\n", tomlText(p.Notes))
	})
}

// tomlText is s as a TOML string. What a basic string escapes is what JSON does.
func tomlText(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r == 0x7f:
			fmt.Fprintf(&b, `\u%04X`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// store opens the helper's store of images, which must be there unless it is to be
// made.
func (c *Command) store(create bool) (*imagestore.Store, error) {
	s, err := config.LoadServer(c.config)
	if err != nil {
		return nil, err
	}
	getenv := func(name string) string { return local.Getenv(c.Environ, name) }
	state := c.state
	if state == "" {
		state = s.State
	}
	if dir := getenv("CROSSCC_DIR"); state == "" && dir != "" {
		state = filepath.Join(dir, "helper") // of the helper inside the agent
	}
	if state == "" {
		if state, err = config.DefaultState(getenv); err != nil {
			return nil, err
		}
	}
	if err := ownState(state, os.Geteuid()); err != nil {
		return nil, err
	}
	dir := filepath.Join(state, "images")
	if _, err := os.Stat(dir); !create && errors.Is(err, fs.ErrNotExist) {
		return nil, &words.Fault{Text: "no images are kept in " + dir, Hints: []string{"say --state DIR where the helper has another place"}}
	}
	return imagestore.Open(dir, imagestore.Options{MaxBytes: s.ImagesSize})
}

// ownState refuses to work as root in the state directory of a helper that runs as
// another user: what root makes there the helper can't use, and where that user's
// links lead root should not go.
func ownState(state string, user int) error {
	info, err := os.Stat(state)
	if err != nil {
		return nil // it is made, or the store says what is wrong
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if user != 0 || !ok || st.Uid == 0 {
		return nil
	}
	return &words.Fault{
		Text:  fmt.Sprintf("%s belongs to user %d, whose helper has its images there, and this is root", state, st.Uid),
		Hints: []string{fmt.Sprintf("setpriv --reuid %d --regid %d --clear-groups crossctl image …", st.Uid, st.Gid)},
	}
}

// add is `crossctl image add`.
func (c *Command) add(ctx context.Context, args []string) error {
	st, err := c.store(true)
	if err != nil {
		return err
	}
	added, pins := []imagestore.Entry{}, []images.Pin{}
	for _, reference := range args {
		e, err := c.addOne(ctx, st, reference)
		if err != nil {
			return err
		}
		pin, err := images.ParsePin(reference) // it may have other names by now
		if err != nil {
			pin = e.Pin()
		}
		added, pins = append(added, e), append(pins, pin)
	}
	return c.Page.Print(added, func(w io.Writer) {
		for _, p := range pins {
			fmt.Fprintln(w, p)
		}
	})
}

func (c *Command) addOne(ctx context.Context, st *imagestore.Store, reference string) (imagestore.Entry, error) {
	src, err := images.Open(ctx, reference, images.SourceOptions{Pull: true, Engine: c.docker, Temp: st.Temp()})
	if err != nil {
		return imagestore.Entry{}, err
	}
	defer func() { _ = src.Close() }()
	last := time.Now()
	e, err := st.Add(ctx, src, func(p imagestore.Progress) {
		if now := time.Now(); now.Sub(last) >= progressPause {
			last = now
			c.Page.Note(fmt.Sprintf("%s %s of %s", p.Stage, size(p.Done), size(p.Total)))
		}
	})
	if errors.Is(err, imagestore.ErrPart) {
		return imagestore.Entry{}, &words.Fault{Text: err.Error(), Hints: []string{"what came is kept for a day: the same command goes on from there"}, Err: err}
	}
	if err != nil {
		return imagestore.Entry{}, err
	}
	if e.Skipped > 0 {
		c.Page.Note(fmt.Sprintf("%d devices and pipes of %s are left out", e.Skipped, e.Pin()))
	}
	if host := "linux/" + runtime.GOARCH; !strings.HasPrefix(e.Platform+"/", host+"/") {
		c.Page.Note(fmt.Sprintf("%s is for %s; this machine is %s and may be unable to run its compilers", e.Pin(), e.Platform, host))
	}
	return e, nil
}

// progressPause is how long nothing is said of an image that comes.
const progressPause = 2 * time.Second

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// list is `crossctl image ls`.
func (c *Command) list(context.Context, []string) error {
	st, err := c.store(false)
	if err != nil {
		return err
	}
	all, err := st.List()
	if err != nil {
		return err
	}
	return c.Page.Print(all, func(w io.Writer) {
		if len(all) == 0 {
			return
		}
		rows := [][]string{{"IMAGE", "PLATFORM", "PACKED", "UNPACKED", "USED"}}
		for _, e := range all {
			unpacked := "-"
			if e.Unpacked {
				unpacked = size(e.Size)
			}
			rows = append(rows, []string{words.Cell(e.Pin().String()), words.Cell(e.Platform), size(e.Packed), unpacked, e.Used.Local().Format(time.DateTime)})
		}
		words.Table(w, rows)
	})
}

// remove is `crossctl image rm`.
func (c *Command) remove(ctx context.Context, args []string) error {
	st, err := c.store(false)
	if err != nil {
		return err
	}
	found, err := find(st, args)
	if err != nil {
		return err
	}
	removed := []digest.Digest{}
	for _, e := range found {
		err := st.Remove(ctx, e.ID)
		if errors.Is(err, imagestore.ErrInUse) {
			return &words.Fault{Text: fmt.Sprintf("image %s is in use by a helper", e.Pin()), Hints: []string{"stop the helper, or take the image out of its crossccd.toml and wait for its jobs"}, Err: err}
		}
		if err != nil {
			return err
		}
		removed = append(removed, e.Pin().Digest)
	}
	return c.Page.Print(map[string]any{"removed": removed}, func(io.Writer) {})
}

// verified is what verify found of one image.
type verified struct {
	Image  string              `json:"image"`
	ID     digest.Digest       `json:"id"`
	Damage []imagestore.Damage `json:"damage"`
}

// verify is `crossctl image verify`.
func (c *Command) verify(ctx context.Context, args []string) error {
	st, err := c.store(false)
	if err != nil {
		return err
	}
	all, err := st.List()
	if err == nil && len(args) > 0 {
		all, err = find(st, args)
	}
	if err != nil {
		return err
	}
	results, bad := []verified{}, 0
	for _, e := range all {
		damage, err := st.Verify(ctx, e.ID)
		if err != nil {
			return err
		}
		if len(damage) > 0 {
			bad++
		}
		results = append(results, verified{e.Pin().String(), e.ID, append([]imagestore.Damage{}, damage...)})
	}
	if err := c.Page.Print(results, func(w io.Writer) { showVerified(w, results) }); err != nil {
		return err
	}
	if bad > 0 {
		return &words.Fault{Text: fmt.Sprintf("%d images are damaged", bad), Hints: []string{"crossctl image rm IMAGE, and add it again"}}
	}
	return nil
}

func showVerified(w io.Writer, results []verified) {
	for _, r := range results {
		if len(r.Damage) == 0 {
			fmt.Fprintf(w, "ok       %s\n", words.Plain(r.Image))
			continue
		}
		fmt.Fprintf(w, "DAMAGED  %s\n", words.Plain(r.Image))
		for _, d := range r.Damage {
			fmt.Fprintf(w, "  %s: %s\n", words.Plain(d.What), words.Plain(d.Why))
		}
	}
}

// leastDigits is how many digits of a digest name an image, when no other begins
// with them.
const leastDigits = 6

// find are the images that somebody asked for.
func find(st *imagestore.Store, asked []string) ([]imagestore.Entry, error) {
	all, err := st.List()
	if err != nil {
		return nil, err
	}
	var found []imagestore.Entry
	for _, w := range asked {
		var fit []imagestore.Entry
		for _, e := range all {
			if named(e, w) {
				fit = append(fit, e)
			}
		}
		switch len(fit) {
		case 0:
			return nil, &words.Fault{Text: fmt.Sprintf("no image %q is there", w), Hints: []string{"crossctl image ls"}}
		case 1:
			found = append(found, fit[0])
		default:
			return nil, words.Misused("image", "image: %q is %d images; say a digest", w, len(fit))
		}
	}
	return found, nil
}

func named(e imagestore.Entry, word string) bool {
	if pin, err := images.ParsePin(word); err == nil {
		word = pin.Digest.String()
	}
	if word == e.Pin().Name || slices.Contains(e.Names, word) {
		return true
	}
	digits := strings.TrimPrefix(word, "sha256:")
	for _, d := range append(e.Digests, e.ID) {
		if len(digits) >= leastDigits && strings.HasPrefix(d.Encoded(), digits) {
			return true
		}
	}
	return false
}
