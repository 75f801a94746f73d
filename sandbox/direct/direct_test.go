package direct_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"os"
	"testing"

	"github.com/crosscc/crosscc/sandbox/direct"
)

func TestDirectLeavesNoFile(t *testing.T) {
	dir := rig.OpenTemp(t)
	p := rig.Build(t, `#include <sys/stat.h>
		#include <unistd.h>
		int main(int c, char **v) { mkdir(v[1], 0755); chdir(v[1]); mkdir("d", 0755); chmod(".", 0); return 0; }`)
	if _, err := direct.New(direct.Options{Dir: dir})(rig.Context(t), rig.Spec(p, "/.crosscc/sub")); err != nil {
		t.Fatal(err)
	}
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
