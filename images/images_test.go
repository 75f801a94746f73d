package images

import (
	"strings"
	"testing"
)

const someDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParsePin(t *testing.T) {
	tests := []struct{ in, name string }{
		{"debian@" + someDigest, "debian"},
		{"debian:bookworm@" + someDigest, "debian"},
		{"ghcr.io/me/tools@" + someDigest, "ghcr.io/me/tools"},
		{"localhost:5000/a/b@" + someDigest, "localhost:5000/a/b"},
		{"localhost:5000/a/b:1.2@" + someDigest, "localhost:5000/a/b"},
		{"127.0.0.1:5000/a_b-c@" + someDigest, "127.0.0.1:5000/a_b-c"},
	}
	for _, tt := range tests {
		p, err := ParsePin(tt.in)
		if err != nil || p.Name != tt.name || p.Digest != someDigest {
			t.Errorf("%s: %+v, %v", tt.in, p, err)
			continue
		}
		again, err := ParsePin(p.String())
		if err != nil || again != p {
			t.Errorf("%s is printed as %s, which is %+v, %v", tt.in, p, again, err)
		}
	}
}

func TestParsePinErrors(t *testing.T) {
	tests := []struct{ in, says string }{
		{"debian", `image "debian" has no digest, and a tag may lead to another image tomorrow; pin it: crossctl image pin debian:latest`},
		{"debian:bookworm", "pin it: crossctl image pin debian:bookworm"},
		{"localhost:5000/a", "pin it: crossctl image pin localhost:5000/a:latest"},
		{"", `"" is not a name`},
		{"@" + someDigest, `"" is not a name`},
		{":tag@" + someDigest, "is not a name"},
		{"Debian@" + someDigest, `"Debian" is not a name such as debian`},
		{"de bian@" + someDigest, "is not a name"},
		{"a/../b@" + someDigest, "is not a name"},
		{someDigest, "a digest alone does not say where it is: NAME@" + someDigest + ", or docker:" + someDigest},
		{"https://ghcr.io/me/tools:1", "leave https:// out: NAME is looked for in its registry"},
		{"docker://debian@" + someDigest, "leave docker:// out: NAME is looked for in its registry, docker:NAME in the Docker Engine"},
		{"debian@", `"" is not a digest`},
		{"debian@sha256:0123", `"sha256:0123" is not a digest: sha256: and 64 digits`},
		{"debian@" + strings.ToUpper(someDigest), "is not a digest"},
		{"debian@sha512:" + strings.Repeat("0", 128), "is not a digest"},
		{"debian@" + someDigest + "@" + someDigest, "is not a digest"},
		{"debian@" + someDigest + "\n", "is not a digest"},
		{strings.Repeat("a", 1025), "longer than 1024 bytes"},
	}
	for _, tt := range tests {
		p, err := ParsePin(tt.in)
		if err == nil || !strings.Contains(err.Error(), tt.says) || p != (Pin{}) {
			t.Errorf("%q: %+v, %v\nwant %s", tt.in, p, err, tt.says)
		}
	}
}

func FuzzParsePin(f *testing.F) {
	f.Add("debian:x@" + someDigest)
	f.Add("localhost:5000/a")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePin(s)
		if err != nil {
			return
		}
		if again, err := ParsePin(p.String()); err != nil || again != p {
			t.Fatalf("%q is %s, which is %+v, %v", s, p, again, err)
		}
	})
}
