package bubblewrap

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// advice says what to change on a host where no sandbox can be built, by what
// bubblewrap or the kernel said and by the settings below sysctls, which is /proc/sys.
func advice(said, sysctls string) string {
	setting := func(name string) string {
		b, err := os.ReadFile(filepath.Join(sysctls, name))
		if err != nil {
			return ""
		}
		return strings.TrimSpace(string(b))
	}
	n, err := strconv.Atoi(setting("user/max_user_namespaces"))
	switch {
	case setting("kernel/unprivileged_userns_clone") == "0":
		return "allow user namespaces: sysctl kernel.unprivileged_userns_clone=1"
	case err == nil && n == 0:
		return "allow user namespaces: sysctl user.max_user_namespaces=10000"
	}
	if a := refused(said); a != "" {
		return a
	}
	// Inside a container the setting is shown, too, and may have no part in it: so what
	// was said goes first.
	if setting("kernel/apparmor_restrict_unprivileged_userns") == "1" {
		return apparmorAdvice
	}
	if a := denied(said); a != "" {
		return a
	}
	return "bubblewrap must be able to make user, mount, pid, network, ipc and uts namespaces; --sandbox=none runs without walls"
}

// apparmorAdvice is for Ubuntu 23.10 and later, Debian 13 where it is set: a user
// namespace may be made there, and has no rights.
const apparmorAdvice = "AppArmor restricts user namespaces: sysctl kernel.apparmor_restrict_unprivileged_userns=0, or a profile in /etc/apparmor.d for bwrap with `userns,` and flags=(unconfined)"

// refused knows words that can have one cause only.
func refused(said string) string {
	switch {
	case strings.Contains(said, "ENOSPC") || strings.Contains(said, "no space left on device"):
		return "no more user namespaces are allowed, here or in the container around: sysctl user.max_user_namespaces=10000 there"
	case strings.Contains(said, "make / slave: Permission denied"): // mounts, by docker-default
		return "AppArmor forbids mounts in this container: docker run --security-opt apparmor=unconfined"
	case strings.Contains(said, "fork/exec") && strings.Contains(said, "operation not permitted") && os.Geteuid() == 0:
		return "root may not become an ordinary user here, as the sandbox does first: start the helper as one (docker run --user 65534:65534), or leave it CAP_SETUID and CAP_SETGID"
	case strings.Contains(said, "No permissions to creat") || strings.Contains(said, "Creating new namespace failed: Operation not permitted"):
		return seccompAdvice
	}
	return ""
}

const seccompAdvice = "user namespaces are not permitted here; in a container, start it with a seccomp profile that allows unshare, clone with CLONE_NEWUSER, mount, umount2 and pivot_root (docker run --security-opt seccomp=PROFILE)"

// denied guesses by words that may have several causes.
func denied(said string) string {
	switch {
	case strings.Contains(said, "setting up uid map"): // Linux 5.12: who maps a root must be able to set file capabilities
		return "this root may not be shown in a user namespace: start the helper as an ordinary user (docker run --user 65534:65534), or leave it CAP_SETFCAP"
	case strings.Contains(strings.ToLower(said), "operation not permitted"):
		return seccompAdvice
	}
	return ""
}
