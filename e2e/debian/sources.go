package debian

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// mirror is the archive that this machine installs its own release from.
func mirror() (entry, error) {
	release, err := codename()
	if err != nil {
		return entry{}, err
	}
	files, err := filepath.Glob("/etc/apt/sources.list.d/*")
	if err != nil {
		return entry{}, err
	}
	for _, name := range append([]string{"/etc/apt/sources.list"}, files...) {
		text, err := os.ReadFile(name)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return entry{}, err
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
				return e, nil
			}
		}
	}
	return entry{}, fmt.Errorf("no archive of %s main in /etc/apt/sources.list or /etc/apt/sources.list.d", release)
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

// line is e as a line of kind deb-src or deb.
func (e entry) line(kind string) string {
	options := ""
	if e.options != "" {
		options = "[" + e.options + "] "
	}
	return kind + " " + options + e.uri + " " + e.suite + " main"
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

// sourceOptions leaves out arch=…: sources have none, and packages are asked for of
// another one.
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
