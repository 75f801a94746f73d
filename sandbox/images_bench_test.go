package sandbox_test

import (
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkImages is a static program that does nothing: in bubblewrap with this
// machine as the root, and with an unpacked image; in a warm container of the Docker
// runner; and as Docker's own command does it, in a running container and in a new one.
func BenchmarkImages(b *testing.B) {
	p := rig.Build(b, `int main() { return 0; }`)
	bench(b, "bwrap-host", bwrap(b), rig.Spec(p))
	image := rig.OpenTemp(b)
	rig.Run(b, image, "cp", p, filepath.Join(image, "p"))
	s := rig.Spec("/p")
	s.Root = image
	bench(b, "bwrap-image", bwrap(b), s)
	inDocker, err := onDocker.start()
	if err != nil {
		b.Logf("NOT MEASURED with Docker: %v", err)
		return
	}
	d, err := onDocker.Start()
	if err != nil {
		b.Fatal(err)
	}
	if o, err := inDocker(b.Context(), rig.Spec(p)); err != nil || o.ExitCode != 0 { // warm
		b.Fatalf("%+v, %v", o, err)
	}
	bench(b, "docker-runner", inDocker, rig.Spec(p))
	docker := func(args ...string) string {
		cmd := exec.Command("/usr/bin/docker", args...)
		cmd.Env = []string{"DOCKER_HOST=" + d.Host(), "HOME=" + image, "PATH=" + os.Getenv("PATH")}
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		if err := cmd.Run(); err != nil {
			b.Fatalf("docker %q: %v\n%s", args, err, said.Bytes())
		}
		return strings.TrimSpace(out.String())
	}
	rig.Run(b, image, "cp", rig.Build(b, `#include <unistd.h>
		int main() { for (;;) pause(); }`), filepath.Join(image, "wait"))
	rig.Run(b, image, "tar", "-cf", "image.tar", "p", "wait")
	docker("import", filepath.Join(image, "image.tar"), "trivial")
	warm := docker("run", "--detach", "--network", "none", "trivial", "/wait")
	b.Run("docker-exec", func(b *testing.B) {
		for b.Loop() {
			docker("exec", warm, "/p")
		}
	})
	b.Run("docker-run", func(b *testing.B) {
		for b.Loop() {
			docker("run", "--rm", "--network", "none", "trivial", "/p")
		}
	})
	docker("rm", "--force", warm)
}
