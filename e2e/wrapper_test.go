package e2e

import (
	"os/exec"
	"strings"
	"testing"
)

// TestWrapperIsThin: crosscc is started once for each compile, so what it links
// is paid for by every one of them.
func TestWrapperIsThin(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", "../cmd/crosscc").Output()
	if err != nil {
		t.Fatal(err)
	}
	const module = "github.com/crosscc/crosscc/"
	for _, pkg := range strings.Fields(string(out)) {
		if !strings.HasPrefix(pkg, module+"cmd/crosscc") && !strings.HasPrefix(pkg, module+"broker/local") {
			t.Errorf("the wrapper links %s; it may link only the standard library and broker/local", pkg)
		}
	}
}
