package image

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"github.com/spf13/pflag"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/lookup"
	"github.com/crosscc/crosscc/broker/pack"
	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// PackHelp is the text of `crossctl pack --help`.
const PackHelp = `usage: crossctl pack [--json] COMPILER... -o FILE

Make an image of compilers of this machine: their programs and what these are
linked with, no headers. A helper of the same architecture that has none of
them serves this machine's builds once it has the image. The same compilers
always make the same image.

  -o, --output FILE    where to write the image, an OCI archive
      --json           print JSON: file, digest, size, and the compilers in it

example:
  $ crossctl pack gcc g++ -o gcc.oci
  $ scp gcc.oci helper: && ssh helper crossctl image add gcc.oci
`

// packed is what pack made.
type packed struct {
	File      string           `json:"file"`
	Digest    string           `json:"digest"` // of the manifest, which a pin has
	Size      int64            `json:"size"`   // of the file, in bytes
	Contents  int64            `json:"contents"`
	Compilers []packedCompiler `json:"compilers"`
}

type packedCompiler struct {
	Path     string `json:"path"`
	Identity string `json:"identity"`
}

// A Pack is `crossctl pack` with its options.
type Pack struct {
	Environ []string // as K=V words
	// Executable is the path of crossctl's program, beside which crosscc is.
	Executable string
	Page       *words.Page

	output string
}

// Flags declares the options.
func (c *Pack) Flags(f *pflag.FlagSet) { f.StringVarP(&c.output, "output", "o", "", "") }

// Run is `crossctl pack`. It asks no agent: what is packed is what the shell finds. Its
// errors are for words.Report.
func (c *Pack) Run(ctx context.Context, args []string) error {
	if len(args) == 0 {
		return words.Misused("pack", "pack: no compiler given")
	}
	if c.output == "" {
		return words.Misused("pack", "pack: no file given: -o FILE")
	}
	find := lookup.Beside(c.Environ, filepath.Join(filepath.Dir(c.Executable), "crosscc"))
	var drivers []string
	for _, name := range args {
		program, _ := find.Find(name)
		if program == "" {
			return fmt.Errorf("pack: %s is not in PATH", name)
		}
		program, err := filepath.Abs(program)
		if err != nil {
			return err
		}
		drivers = append(drivers, program)
	}
	p, err := pack.Make(ctx, drivers, local.Getenv(c.Environ, "PATH"))
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	sum, size, err := p.WriteFile(c.output)
	if err != nil {
		return fmt.Errorf("pack: %w", err)
	}
	made := packed{File: c.output, Digest: sum.String(), Size: size, Contents: p.Bytes}
	for i, tc := range p.Toolchains {
		made.Compilers = append(made.Compilers, packedCompiler{Path: drivers[i], Identity: tc.Identity.String()})
	}
	return c.Page.Print(made, func(w io.Writer) { showPacked(w, made) })
}

func showPacked(w io.Writer, made packed) {
	rows := [][]string{
		{"file", fmt.Sprintf("%s, %d MiB of %d MiB, for %s machines", words.Cell(made.File), made.Size>>20, made.Contents>>20, runtime.GOARCH)},
		{"digest", made.Digest},
	}
	for _, tc := range made.Compilers {
		rows = append(rows, []string{words.Cell(tc.Path), words.Cell(tc.Identity)})
	}
	words.Table(w, rows)
}
