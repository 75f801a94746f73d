package bubblewrap

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/crosscc/crosscc/sandbox/internal/rig"
)

// TestAdvice: what bubblewrap said on hosts and in containers, and the settings that
// these had. AppArmor's are from reports of others: no machine of ours has it.
func TestAdvice(t *testing.T) {
	const apparmor = "kernel/apparmor_restrict_unprivileged_userns"
	for _, tc := range []struct{ name, said, sysctl, value, want string }{
		{"Debian 10", "bwrap: No permissions to creating new namespace, likely because the kernel does not allow non-privileged user namespaces.", "kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"},
		{"a hardened host", "bwrap: Creating new namespace failed: No space left on device", "user/max_user_namespaces", "0", "user.max_user_namespaces="},
		{"Ubuntu 24.04", "bwrap: setting up uid map: Permission denied", apparmor, "1", "AppArmor restricts"},
		{"Ubuntu 24.04, a profile without rights", "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", apparmor, "1", "AppArmor restricts"},
		{"Ubuntu 24.04, by words that are not known", "bwrap: something else", apparmor, "1", "AppArmor restricts"},
		{"a container on Ubuntu, Docker's filter", "bwrap: Creating new namespace failed: Operation not permitted", apparmor, "1", "seccomp profile"},
		{"a container on Ubuntu, Docker's AppArmor profile", "bwrap: Failed to make / slave: Permission denied", apparmor, "1", "apparmor=unconfined"},
		{"Ubuntu with the setting off", "bwrap: setting up uid map: Operation not permitted", apparmor, "0", "CAP_SETFCAP"},
		{"a container, Docker's filter", "bwrap: No permissions to creating new namespace, likely because", "", "", "seccomp profile"},
		{"nothing known", "", "", "", "--sandbox=none"},
	} {
		sysctls := t.TempDir()
		if tc.sysctl != "" {
			rig.Write(t, filepath.Join(sysctls, tc.sysctl), tc.value+"\n")
		}
		if got := advice("sandbox: setup: "+tc.said+": bubblewrap ended before the program began", sysctls); !strings.Contains(got, tc.want) {
			t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
		}
	}
	if _, err := New(Options{Program: "/none/bwrap"}); err == nil || !strings.Contains(err.Error(), "install bubblewrap") {
		t.Errorf("got %v", err)
	}
}
