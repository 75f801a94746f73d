package image

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// A place is a machine with a helper's state directory below the agent's.
type place struct {
	t   *testing.T
	dir string
}

func newPlace(t *testing.T) *place {
	t.Helper()
	return &place{t: t, dir: t.TempDir()}
}

func (p *place) path(name string) string { return filepath.Join(p.dir, name) }

func (p *place) write(name, text string, mode os.FileMode) {
	p.t.Helper()
	if err := os.WriteFile(p.path(name), []byte(text), mode); err != nil {
		p.t.Fatal(err)
	}
}

// A said is what one command printed.
type said struct {
	stdout, stderr string
	exit           int
}

// image runs `crossctl image` without a Docker Engine, and holds what it says on
// stderr to the rules of package words.
func (p *place) image(args ...string) said {
	p.t.Helper()
	var stdout, stderr bytes.Buffer
	page := words.Page{Aside: &stderr}
	c := Command{Environ: []string{"CROSSCC_DIR=" + p.path("state"), "HOME=" + p.dir}, Page: &page}
	flags := pflag.NewFlagSet("image", pflag.ContinueOnError)
	flags.BoolVar(&page.JSON, "json", false, "")
	c.Flags(flags)
	if err := flags.Parse(append([]string{"--docker", "off"}, args...)); err != nil {
		p.t.Fatal(err)
	}
	err := c.Run(p.t.Context(), flags.Args())
	if err := page.Flush(&stdout); err != nil {
		p.t.Fatal(err)
	}
	exit := words.Report(&stderr, err)
	rule := regexp.MustCompile("^crossctl: (error|hint|note): [^A-Z ].*[^. ]\n$")
	for line := range strings.Lines(stderr.String()) {
		if !rule.MatchString(line) {
			p.t.Errorf("crossctl image %q says on stderr %q, which breaks the rules of package words", args, line)
		}
	}
	return said{stdout.String(), stderr.String(), exit}
}
