package config

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write docs/configuration.md")

// The page that users read is made from the tables, and is never behind them.
func TestConfigurationPage(t *testing.T) {
	const page = "../../docs/configuration.md"
	want := configurationPage()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/configuration.md is not what the tables say: run make docs")
	}
}

func configurationPage() string {
	var b strings.Builder
	b.WriteString(`# Configuration

crosscc needs none: without hosts it uses a helper inside its own agent. Defaults give way to the file, the file to the
environment, and that to flags. An unknown key is an error that names its line. This page is made from the code's own tables
(` + "`make docs`" + `).

`)
	writeKeys(&b, "The client: "+clientFile, clientSettings(new(Client)))
	b.WriteString(`An agent has no settings of its own: both the file (of the root where the build runs) and the variables count for each job.

The host list, in CROSSCC_HOSTS or ` + "`hosts`" + `:

` + "```" + `
grpc://HOST[:3634][/SLOTS][,OPTION…]      a helper
unix:/PATH[,OPTION…]                      a helper on this machine
` + "```" + `

OPTION is ` + "`debug=lines`" + ` (jobs with debug info may go there; their line tables will differ), ` + "`debug=none`" + ` (the default),
` + "`match=identical`" + ` or ` + "`match=calibrated`" + `. The other forms that the list knows (TLS, engines, ssh, mDNS, distcc's own) are read, and
reported as not built yet by ` + "`crossctl doctor`" + `.

Further variables of a client:

| variable | meaning |
|---|---|
| CROSSCC_DIR | the client's state: socket, caches, log (default: the user's XDG state and runtime directories) |
| CROSSCC_SOCKET | the agent's socket, when it is elsewhere |
| CROSSCC_CONFIG | the configuration file |
| CROSSCC_FALLBACK=0 | where no helper can serve: fail, with the reason, instead of compiling locally (jobs that must be local stay local) |
| CROSSCC_DISABLE=1 | run the compiler at once, as if crosscc were not there |

`)
	writeKeys(&b, "The helper: "+serverFile, serverSettings(new(Server)))
	b.WriteString("Each key has a flag of `crossccd serve` but the sizes, `image` and `toolchains.search`; `crossccd --help` lists them.\n\n")
	writeKeys(&b, "An image of the helper's: [[image]]", imageSettings(new(Image)))
	b.WriteString("docs/images.md tells what images are for and how a helper comes by them.\n")
	return b.String()
}

func writeKeys(b *strings.Builder, title string, keys []setting) {
	fmt.Fprintf(b, "## %s\n\n| key | variable | meaning |\n|---|---|---|\n", title)
	for _, k := range keys {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", k.name, k.env, strings.ReplaceAll(k.text, "|", `\|`))
	}
	b.WriteString("\n")
}
