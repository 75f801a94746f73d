package config

import (
	"errors"
	"fmt"

	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/toolchains/triple"
)

// An Image is one [[image]] row of crossccd.toml: a container image whose compilers
// a helper offers.
type Image struct {
	Reference images.Pin
	// Target is the one target that it serves; "" means all that its compilers have.
	Target string
	// Compiler is the absolute path in the image of the one driver that is looked
	// at; "" means that they are looked for.
	Compiler string
	// Source is the absolute path of a directory or an archive that has the image;
	// "" means the store, a Docker Engine or, with Pull, the registry.
	Source string
	// Pull allows to fetch it from the registry of its name.
	Pull bool
	// Notes say why the row is there, for whoever reads the file next.
	Notes string
}

// imageSettings are the keys of a table [[image]], as they set m.
func imageSettings(m *Image) []setting {
	return []setting{
		{"reference", "", `The image, by its digest: "NAME@sha256:…". "crossctl image pin NAME:TAG" prints the row. It must be there.`,
			func(v any) error { return set(&m.Reference, v, pinOf) }},
		{"target", "", `The one target that it serves: "riscv64-linux-gnu". Default: all targets of its compilers.`,
			func(v any) error { return set(&m.Target, v, targetOf) }},
		{"compiler", "", "The one compiler that is looked at, an absolute path in the image. Default: they are looked for where they are on a host.",
			func(v any) error { return set(&m.Compiler, v, absolute) }},
		{"source", "", "A file (an OCI or docker archive) or a directory (in OCI layout) that has it, an absolute path. Default: the helper's store of images, then a local Docker Engine.",
			func(v any) error { return set(&m.Source, v, absolute) }},
		{"pull", "", "Whether it may be fetched from the registry of its name. Default false.",
			func(v any) error { return set(&m.Pull, v, truth) }},
		{"notes", "", "Why it is there: for whoever reads the file next.",
			func(v any) error { return set(&m.Notes, v, text) }},
	}
}

// imageRow adds an image to all: its settings, and what is checked when they are
// set.
func imageRow(all *[]Image) (fields []setting, done func() error) {
	m := new(Image)
	return imageSettings(m), func() error {
		if m.Reference == (images.Pin{}) {
			return errors.New(`reference is missing: "NAME@sha256:…"`)
		}
		for _, other := range *all {
			if other.Reference.Digest == m.Reference.Digest && other.Target == m.Target && other.Compiler == m.Compiler {
				return fmt.Errorf("%s stands here twice", m.Reference)
			}
		}
		*all = append(*all, *m)
		return nil
	}
}

func pinOf(value any) (images.Pin, error) {
	s, err := text(value)
	if err != nil {
		return images.Pin{}, err
	}
	return images.ParsePin(s)
}

func targetOf(value any) (string, error) {
	s, err := text(value)
	if err != nil {
		return "", err
	}
	if _, err := triple.Parse(s); err != nil {
		return "", err
	}
	return s, nil
}

func truth(value any) (bool, error) {
	b, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("expected true or false, not %s", kindOf(value))
	}
	return b, nil
}
