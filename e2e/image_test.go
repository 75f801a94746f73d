package e2e

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/crosscc/crosscc/e2e/debian"
)

// imageHelper is `image-helper [-plain|-bare] NAME`: the helper's own image is built and
// run by the commands of docs/docker.md, on a base made of Debian's packages; $NAME is
// the helper's address. With -plain it is run without the seccomp profile, and must say
// why it does not start. With -bare the base has no compiler, and the helper takes packs.
func imageHelper(ts *testscript.TestScript, _ bool, args []string) {
	opts, args := flags(ts, args, map[string]bool{"-plain": false, "-bare": false})
	if len(args) != 1 {
		ts.Fatalf("usage: image-helper [-plain|-bare] NAME")
	}
	d, err := startEngine()
	ts.Check(err)
	b := dockerBuild{ts: ts, dir: filepath.Join(scriptOf(ts).dir, "image"), host: d.Host(), name: "crossccd", compilers: []string{"gcc-12", "g++-12"}}
	if opts["-bare"] != "" {
		b.name, b.compilers = "bare", nil
	}
	if _, err := os.Stat(b.dir); err != nil {
		b.prepare()
	}
	build, run := b.commands()
	port := freePort(ts)
	b.shell(build)
	run = strings.ReplaceAll(run, "3634", port)
	if opts["-plain"] != "" {
		plain := strings.Replace(run, "--security-opt seccomp=docker/seccomp.json", "", 1)
		if plain == run {
			ts.Fatalf("docs/docker.md names no profile: %s", run)
		}
		b.shell(strings.Replace(plain, "--name "+b.name, "--name plain", 1))
		b.await("plain", "seccomp=PROFILE")
		return
	}
	if opts["-bare"] != "" {
		settings := filepath.Join(b.dir, "settings")
		ts.Check(os.MkdirAll(settings, 0o755))
		ts.Check(os.WriteFile(filepath.Join(settings, "crossccd.toml"), []byte("packs = true\n"), 0o644))
		run = strings.Replace(run, "docker run ", "docker run --volume "+settings+":/etc/crosscc:ro ", 1)
	}
	b.shell(run)
	b.await(b.name, "helper is ready")
	if user := strings.TrimSpace(b.shell("docker inspect --format '{{.Config.User}}' " + b.name)); user != "990:990" {
		ts.Fatalf("it runs as %q", user)
	}
	ts.Defer(func() { b.shell("docker rm --force " + b.name) })
	ts.Setenv(args[0], "127.0.0.1:"+port)
}

func freePort(ts *testscript.TestScript) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	ts.Check(err)
	return port
}

// A dockerBuild runs docker's commands in a directory that looks like a clone of this
// repository.
type dockerBuild struct {
	ts        *testscript.TestScript
	dir, host string
	name      string   // of the image, the container and the volume
	compilers []string // Debian's packages in the base
}

func (b *dockerBuild) prepare() {
	b.ts.Check(os.MkdirAll(filepath.Join(b.dir, "bin"), 0o755))
	b.ts.Check(os.MkdirAll(filepath.Join(b.dir, "docker"), 0o755))
	for _, name := range []string{"Dockerfile", ".dockerignore", "docker/seccomp.json"} {
		text, err := os.ReadFile(filepath.Join("..", name))
		b.ts.Check(err)
		b.ts.Check(os.WriteFile(filepath.Join(b.dir, name), text, 0o644))
	}
	cmd := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(b.dir, "bin", "crossccd"), "../cmd/crossccd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		b.ts.Fatalf("%v: %v\n%s", cmd, err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	packages, err := debian.Open("../.cache/demo")
	b.ts.Check(err)
	base, err := packages.Root(ctx, "amd64", append([]string{"bash", "dash", "coreutils", "libc-bin", "bubblewrap"}, b.compilers...)...)
	b.ts.Check(err)
	b.shell("tar --numeric-owner -C " + base + " -c . | docker import - base-of-" + b.name)
}

var shellBlock = regexp.MustCompile("(?s)```sh\n(.*?)```")

// commands are the blocks of docs/docker.md that build on a base of one's own, and run.
func (b *dockerBuild) commands() (build, run string) {
	page, err := os.ReadFile("../docs/docker.md")
	b.ts.Check(err)
	for _, m := range shellBlock.FindAllStringSubmatch(string(page), -1) {
		switch {
		case strings.Contains(m[1], "BASE=my-toolchains"):
			build = strings.Replace(m[1], "make\n", "", 1) // done by prepare
		case strings.Contains(m[1], "docker run"):
			run = m[1]
		}
	}
	if build == "" || run == "" {
		b.ts.Fatalf("docs/docker.md has no commands: %q, %q", build, run)
	}
	own := strings.NewReplacer("/var/lib/crossccd", "/var/lib/crossccd", "my-toolchains", "base-of-"+b.name, "crossccd", b.name)
	return own.Replace(build), own.Replace(run)
}

// shell runs commands with Debian's docker, and returns what they print.
func (b *dockerBuild) shell(text string) string {
	ctx, cancel := context.WithTimeout(context.Background(), commandLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-euc", text)
	cmd.Dir = b.dir
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=" + b.dir, "DOCKER_HOST=" + b.host, "DOCKER_BUILDKIT=0"}
	out, err := cmd.CombinedOutput()
	b.ts.Logf("$ %s\n%s", text, out)
	if err != nil {
		b.ts.Fatalf("%s: %v\n%s", text, err, out)
	}
	return string(out)
}

// await waits until a container has said a word.
func (b *dockerBuild) await(name, word string) {
	b.ts.Check(eventually(startLimit, func() error {
		cmd := exec.Command("/usr/bin/docker", "logs", name)
		cmd.Env = []string{"DOCKER_HOST=" + b.host, "HOME=" + b.dir}
		if out, _ := cmd.CombinedOutput(); !strings.Contains(string(out), word) {
			time.Sleep(200 * time.Millisecond)
			return fmt.Errorf("container %s has not said %q, but:\n%s", name, word, out)
		}
		return nil
	}))
}
