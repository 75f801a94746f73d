package debian

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSourceEntries(t *testing.T) {
	for name, c := range map[string]struct {
		read func(string) []entry
		text string
		want []string
	}{
		"one line": {oneLineEntries, `
# a comment
deb http://mirror.example/debian bookworm main contrib # and another
deb-src http://mirror.example/debian bookworm main
deb [arch=amd64 signed-by=/key.gpg] http://other.example/x stable extra
deb [trusted=yes] file:/srv/debian bookworm-updates main
deb broken`, []string{
			"deb-src http://mirror.example/debian bookworm main",
			"deb-src [trusted=yes] file:/srv/debian bookworm-updates main",
		}},
		"deb822": {paragraphEntries, `Types: deb deb-src
# a comment: with a colon
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
`, []string{
			"deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm main",
			"deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://mirror.example/debian bookworm-updates main",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, e := range c.read(c.text) {
				if e.main {
					got = append(got, e.line("deb-src"))
				}
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Errorf("entries (-want +got):\n%s", d)
			}
		})
	}
}
