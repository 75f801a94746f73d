package control

import (
	"fmt"
	"io"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/crosscc/crosscc/broker/local"
	"github.com/crosscc/crosscc/broker/local/lookup"
	"github.com/crosscc/crosscc/broker/pack"
)

const packHelp = `usage: crossctl pack [--json] COMPILER... -o FILE

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

func (c *control) packFlags(f *pflag.FlagSet) { f.StringVarP(&c.output, "output", "o", "", "") }

// pack is `crossctl pack`. It asks no agent: what is packed is what the shell finds.
func (c *control) pack(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return misused("pack", "pack: no compiler given")
	}
	if c.output == "" {
		return misused("pack", "pack: no file given: -o FILE")
	}
	find := lookup.Beside(c.env.Environ, filepath.Join(filepath.Dir(c.env.Executable), "crosscc"))
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
	p, err := pack.Make(cmd.Context(), drivers, local.Getenv(c.env.Environ, "PATH"))
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
	return c.print(made, func(w io.Writer) { showPacked(w, made) })
}

func showPacked(w io.Writer, made packed) {
	rows := [][]string{
		{"file", fmt.Sprintf("%s, %d MiB of %d MiB, for %s machines", cell(made.File), made.Size>>20, made.Contents>>20, runtime.GOARCH)},
		{"digest", made.Digest},
	}
	for _, tc := range made.Compilers {
		rows = append(rows, []string{cell(tc.Path), cell(tc.Identity)})
	}
	table(w, rows)
}
