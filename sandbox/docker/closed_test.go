package docker

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox"
	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// inspected is what `docker inspect` says of a container's walls.
type inspected struct {
	Mounts []struct {
		Destination string
		RW          bool
	}
	HostConfig struct {
		NetworkMode, IpcMode, PidMode     string
		ReadonlyRootfs, Privileged        bool
		CapAdd, CapDrop, SecurityOpt      []string
		Memory, MemorySwap, PidsLimit     int64
		Devices, DeviceRequests, GroupAdd []any
	}
}

// TestContainersAreClosed: the Engine closes, for whoever got out of a job's own root,
// what the job itself never had: no network, nothing to write to but memory, no right
// but the three of process 1, no new ones, and bounds.
func TestContainersAreClosed(t *testing.T) {
	r := newCounting(t)
	s := rig.Spec(rig.Build(t, `int main() { return 0; }`))
	s.Limits = sandbox.Limits{Sum: 512 << 20, Processes: 20}
	if o, err := r.run(rig.Context(t), s); err != nil || o.ExitCode != 0 {
		t.Fatalf("got %+v, %v", o, err)
	}
	if _, idle := r.containers(); idle != 1 {
		t.Fatalf("%d containers are idle", idle)
	}
	cmd := exec.CommandContext(rig.Context(t), rig.Need(t, "docker", "docker.io"), "inspect", r.pool.idle[0].id)
	cmd.Env = []string{"DOCKER_HOST=" + testEngine.Need(t).Host(), "HOME=" + t.TempDir()}
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	var all []inspected
	if err := json.Unmarshal(text, &all); err != nil || len(all) != 1 {
		t.Fatalf("%v: %s", err, text)
	}
	h := all[0].HostConfig
	for i, right := range h.CapAdd {
		h.CapAdd[i] = strings.TrimPrefix(right, "CAP_") // newer Engines say it
	}
	slices.Sort(h.CapAdd)
	for what, well := range map[string]bool{
		"a network":       h.NetworkMode == "none",
		"shared memory":   h.IpcMode == "none",
		"processes":       h.PidMode == "",
		"a root to write": h.ReadonlyRootfs,
		"privileges":      !h.Privileged && len(h.Devices)+len(h.DeviceRequests)+len(h.GroupAdd) == 0,
		"rights":          slices.Equal(h.CapDrop, []string{"ALL"}) && slices.Equal(h.CapAdd, []string{"SETGID", "SETUID", "SYS_CHROOT"}),
		"new privileges":  slices.Contains(h.SecurityOpt, "no-new-privileges:true") && !strings.Contains(strings.Join(h.SecurityOpt, " "), "unconfined"),
		"memory":          h.Memory == s.Limits.Sum && h.MemorySwap == h.Memory,
		"many processes":  h.PidsLimit == int64(s.Limits.Processes)+slack,
	} {
		if !well {
			t.Errorf("it has %s: %+v", what, h)
		}
	}
	for _, m := range all[0].Mounts {
		if m.RW {
			t.Errorf("%s can be written to", m.Destination)
		}
	}
}
