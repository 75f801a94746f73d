package bubblewrap

import (
	"errors"
	"strings"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/rig"

	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// runMany is a helper that starts sandboxes for ever, some at a time, and ends
// each program soon. It says so when the first was started.
func runMany(p string) {
	r, err := New(Options{})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	for range 3 {
		go func() {
			for {
				ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(8))*time.Millisecond)
				_, _ = r(ctx, rig.Spec(p))
				cancel()
			}
		}()
	}
	select {}
}

// TestKilledAtAnyMoment: SIGKILL for a helper ends every sandbox of its, how
// ever far its start has come; for a helper of root's and for one of a user's.
func TestKilledAtAnyMoment(t *testing.T) {
	p := rig.Build(t, rig.Sleeper)
	users := map[string]*syscall.Credential{"own": nil}
	if os.Geteuid() == 0 {
		users["nobody"] = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	self := filepath.Join(rig.OpenTemp(t), "helper") // nobody can't reach the test's own
	rig.Run(t, "/", "cp", "/proc/"+strconv.Itoa(os.Getpid())+"/exe", self)
	for name, who := range users {
		t.Run(name, func(t *testing.T) {
			for range 60 {
				killEarly(t, who, self, p)
			}
			rig.Await(t, p, func(found []string) bool { return len(found) == 0 })
		})
	}
}

// killEarly starts a helper that starts sandboxes, and kills it some
// milliseconds later.
func killEarly(t *testing.T, who *syscall.Credential, self, p string) {
	t.Helper()
	helper := exec.Command(self)
	helper.Dir = "/"
	helper.Env = append(os.Environ(), "SANDBOX_TEST_MANY="+p)
	helper.SysProcAttr = &syscall.SysProcAttr{Credential: who}
	said, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(said).ReadString('\n'); line != "ready\n" {
		t.Errorf("helper said %q, %v", line, err)
	}
	time.Sleep(time.Duration(rand.IntN(20_000)) * time.Microsecond)
	if err := helper.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = helper.Wait()
}

// TestBubblewrapKilledAtAnyMoment: SIGKILL for bubblewrap, as the kernel does it when
// memory is out, is the machine's fault however far the start has come, and nothing
// stays.
func TestBubblewrapKilledAtAnyMoment(t *testing.T) {
	p := rig.Build(t, `int main() { return 3; }`)
	r, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var verdicts, faults int
	for range 80 {
		stop := make(chan struct{})
		go killChild(time.Duration(rand.IntN(12_000))*time.Microsecond, stop)
		o, err := r(rig.Context(t), rig.Spec(p))
		close(stop)
		f, ok := errors.AsType[*sandbox.Failure](err)
		switch {
		case err == nil && o.ExitCode == 3:
			verdicts++
		case ok && (f.Kind == sandbox.Setup || f.Kind == sandbox.Killed):
			faults++
		default:
			t.Errorf("got %+v, %v", o, err)
		}
	}
	t.Logf("%d verdicts, %d faults of the machine", verdicts, faults)
	if faults == 0 {
		t.Error("bubblewrap was never killed")
	}
	rig.Await(t, p, func(found []string) bool { return len(found) == 0 })
}

// killChild kills a bubblewrap of this process's, some time after it was started.
func killChild(after time.Duration, stop <-chan struct{}) {
	for {
		lists, _ := filepath.Glob("/proc/self/task/*/children")
		for _, list := range lists {
			b, _ := os.ReadFile(list)
			for _, word := range strings.Fields(string(b)) {
				pid, err := strconv.Atoi(word)
				comm, _ := os.ReadFile("/proc/" + word + "/comm")
				if err == nil && string(comm) == "bwrap\n" {
					time.Sleep(after)
					_ = syscall.Kill(pid, syscall.SIGKILL)
					return
				}
			}
		}
		select {
		case <-stop:
			return
		default:
		}
	}
}
