package probe

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/crosscc/crosscc/toolchains"
)

// fingerprint digests the files of a toolchain, each at most once.
func (p *prober) fingerprint(ctx context.Context, s survey, t toolchains.Toolchain) (toolchains.Fingerprint, error) {
	roles := p.roles(s, t)
	sums := make(map[string]*string)
	var jobs []func() error
	for _, files := range roles {
		for _, file := range files {
			if sums[file] == nil {
				sum := new(string)
				sums[file] = sum
				jobs = append(jobs, func() (err error) {
					*sum, err = p.Digest(ctx, file)
					return err
				})
			}
		}
	}
	if err := parallel(jobs...); err != nil {
		return nil, err
	}
	print := toolchains.Fingerprint{}
	for role, files := range roles {
		print[role] = *sums[files[0]]
		if len(files) > 1 { // a chain: the script and the driver behind it
			var all strings.Builder
			for _, file := range files {
				fmt.Fprintf(&all, "%s\n", *sums[file])
			}
			print[role] = digestText(all.String())
		}
	}
	return print, nil
}

// roles maps each role to its files.
func (p *prober) roles(s survey, t toolchains.Toolchain) map[string][]string {
	roles := map[string][]string{}
	add := func(role string, files ...string) {
		if files[0] != "" {
			roles[role] = files
		}
	}
	add("driver", s.chain(t.Path)...)
	add("driver++", s.chain(t.CXXPath)...)
	add("as", s.As)
	add("objcopy", p.withLibraries(s.Objcopy)...)
	for role, file := range s.Compiler {
		add(role, file)
	}
	if len(s.Specs) > 0 {
		add("specs", s.Specs...)
	}
	for _, program := range []string{s.As, s.Compiler["cc1"], s.Compiler["cc1plus"], t.Path, t.CXXPath, s.Real} {
		for name, file := range p.libraries(program) {
			add("lib:"+name, file)
		}
	}
	return roles
}

// withLibraries is a program with its libraries: they are part of its role, because
// other roles do not need them.
func (p *prober) withLibraries(program string) []string {
	return append([]string{program}, slices.Sorted(maps.Values(p.libraries(program)))...)
}

// chain is a driver and, where it is a script or a cache's link, the program
// that it runs.
func (s survey) chain(driver string) []string {
	behind := s.Behind
	if driver == s.Path {
		behind = s.Real
	}
	if behind == "" {
		return []string{driver}
	}
	return []string{driver, behind}
}
