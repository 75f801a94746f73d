package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// luaPackage is Debian's source package. Its patches are left out: they turn
// Lua's plain Makefile to libtool and to dpkg's own flags.
const luaPackage = "lua5.4"

// fetchLua leaves Lua's upstream source unpacked in dir, and returns the
// package's name with its version. The package comes from
// the mirror that this machine already uses, with apt's lists and state in cache
// and none of the machine's own touched.
func fetchLua(ctx context.Context, cache, dir string) (string, error) {
	cache, err := filepath.Abs(cache)
	if err != nil {
		return "", err
	}
	dsc, err := findPackage(cache)
	if err != nil {
		if err := download(ctx, cache); err != nil {
			return "", err
		}
		if dsc, err = findPackage(cache); err != nil {
			return "", err
		}
	}
	// dpkg-source checks the archives against the checksums in the .dsc.
	if err := runIn(ctx, cache, nil, "dpkg-source", "--skip-patches", "-x", dsc, dir); err != nil {
		return "", err
	}
	return strings.TrimSuffix(filepath.Base(dsc), ".dsc"), nil
}

func findPackage(cache string) (string, error) {
	found, err := filepath.Glob(filepath.Join(cache, luaPackage+"_*.dsc"))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("no %s_*.dsc in %s", luaPackage, cache)
	}
	if err != nil {
		return "", err
	}
	return found[len(found)-1], nil
}

// download fetches the source package into cache.
func download(ctx context.Context, cache string) error {
	line, err := sourceLine()
	if err != nil {
		return err
	}
	lists := filepath.Join(cache, "lists")
	if err := os.MkdirAll(filepath.Join(lists, "partial"), 0o755); err != nil {
		return err
	}
	sources := filepath.Join(cache, "sources.list")
	if err := os.WriteFile(sources, []byte(line+"\n"), 0o644); err != nil {
		return err
	}
	private := []string{
		"-qq",
		"-o", "Dir::Etc::sourcelist=" + sources, "-o", "Dir::Etc::sourceparts=/dev/null",
		"-o", "Dir::State::lists=" + lists, "-o", "Dir::Cache=" + cache,
		"-o", "APT::Sandbox::User=root", // cache need not be open to apt's own user
	}
	fmt.Printf("fetching %s with apt-get source: %s\n", luaPackage, line)
	if err := runIn(ctx, cache, nil, "apt-get", append(private, "update")...); err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(cache, "fresh-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := runIn(ctx, fresh, nil, "apt-get", append(private, "source", "--download-only", luaPackage)...); err != nil {
		return err
	}
	return keepPackage(fresh, cache)
}

// keepPackage moves a package's files, the .dsc last: where it is, all are.
func keepPackage(from, to string) error {
	files, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	slices.SortStableFunc(files, func(a, b os.DirEntry) int {
		return cmp.Compare(filepath.Ext(b.Name()), filepath.Ext(a.Name()))
	})
	for _, f := range files {
		if err := os.Rename(filepath.Join(from, f.Name()), filepath.Join(to, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// sourceLine is a deb-src line for the archive that this machine installs its
// own release from.
func sourceLine() (string, error) {
	release, err := codename()
	if err != nil {
		return "", err
	}
	files, err := filepath.Glob("/etc/apt/sources.list.d/*")
	if err != nil {
		return "", err
	}
	for _, name := range append([]string{"/etc/apt/sources.list"}, files...) {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", err
		}
		entries := oneLineEntries
		switch filepath.Ext(name) {
		case ".sources":
			entries = paragraphEntries
		case ".list":
		default:
			continue
		}
		for _, e := range entries(string(text)) {
			if e.suite == release && e.main {
				return e.line(), nil
			}
		}
	}
	return "", fmt.Errorf("no archive of %s main in /etc/apt/sources.list or /etc/apt/sources.list.d", release)
}

// codename is VERSION_CODENAME of /etc/os-release: bookworm.
func codename() (string, error) {
	f, err := os.Open("/etc/os-release")
	if err != nil {
		return "", err
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if v, ok := strings.CutPrefix(lines.Text(), "VERSION_CODENAME="); ok {
			return strings.Trim(v, `"`), nil
		}
	}
	return "", errors.New("/etc/os-release names no VERSION_CODENAME")
}

// An entry is one archive and suite of apt's sources.
type entry struct {
	options string // as between the brackets of a one-line entry
	uri     string
	suite   string
	main    bool // has the component main
}

func (e entry) line() string {
	options := ""
	if e.options != "" {
		options = "[" + e.options + "] "
	}
	return "deb-src " + options + e.uri + " " + e.suite + " main"
}

// oneLineEntries reads `deb [options] URI suite component…` lines.
func oneLineEntries(text string) []entry {
	var list []entry
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		line, ok := strings.CutPrefix(strings.TrimSpace(line), "deb ")
		if !ok {
			continue
		}
		var e entry
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "["); ok {
			e.options, line, _ = strings.Cut(rest, "]")
			e.options = sourceOptions(e.options)
		}
		words := strings.Fields(line)
		if len(words) < 3 {
			continue
		}
		e.uri, e.suite, e.main = words[0], words[1], slices.Contains(words[2:], "main")
		list = append(list, e)
	}
	return list
}

// sourceOptions leaves out arch=…, which sources have not.
func sourceOptions(s string) string {
	var kept []string
	for _, w := range strings.Fields(s) {
		if !strings.HasPrefix(w, "arch") {
			kept = append(kept, w)
		}
	}
	return strings.Join(kept, " ")
}

// paragraphEntries reads the deb822 form: paragraphs of `Key: words`.
func paragraphEntries(text string) []entry {
	var list []entry
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		fields := make(map[string][]string)
		for line := range strings.Lines(paragraph) {
			if key, value, ok := strings.Cut(line, ":"); ok && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, " ") {
				fields[strings.ToLower(key)] = strings.Fields(value)
			}
		}
		if !slices.Contains(fields["types"], "deb") || slices.Contains(fields["enabled"], "no") || len(fields["uris"]) == 0 {
			continue
		}
		options := ""
		if by := fields["signed-by"]; len(by) == 1 {
			options = "signed-by=" + by[0]
		}
		for _, suite := range fields["suites"] {
			list = append(list, entry{options, fields["uris"][0], suite, slices.Contains(fields["components"], "main")})
		}
	}
	return list
}
