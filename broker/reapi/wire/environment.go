package wire

import (
	"slices"
	"strings"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"
)

// environmentOf reads a command's variables: sorted K=V words. It is an
// allowlist, because a compiler's environment can name programs to run
// (COMPILER_PATH, GCC_EXEC_PREFIX, LD_PRELOAD) and files to write
// (DEPENDENCIES_OUTPUT), and because a variable that changes objects must be
// used or refused, never ignored.
func environmentOf(vars []*repb.Command_EnvironmentVariable) ([]string, error) {
	var env []string
	seen := make(map[string]bool, len(vars))
	for _, v := range vars {
		switch {
		case v.Name == "" || strings.ContainsAny(v.Name, "=\x00") || strings.ContainsRune(v.Value, 0):
			return nil, Rejectf("environment variable %q is malformed", v.Name)
		case seen[v.Name]:
			return nil, Rejectf("environment variable %q is given twice", v.Name)
		}
		seen[v.Name] = true
		keep, known := admitVariable(v.Name)
		if !known {
			return nil, Rejectf("environment variable %q may not be set for a compile", v.Name)
		}
		if keep {
			env = append(env, v.Name+"="+v.Value)
		}
	}
	slices.Sort(env)
	return env, nil
}

// admitVariable says whether a compiler gets the variable, and whether it is
// one that we know. Those that are known and not kept are the sandbox's own or
// nothing that a compiler reads; other REAPI clients send them unasked.
func admitVariable(name string) (keep, known bool) {
	switch name {
	case "LANG", "LANGUAGE", "PWD", "TERM", "GCC_COLORS", "GCC_URLS", "SOURCE_DATE_EPOCH",
		"CPATH", "C_INCLUDE_PATH", "CPLUS_INCLUDE_PATH", "OBJC_INCLUDE_PATH", "OBJCPLUS_INCLUDE_PATH", "LIBRARY_PATH", "LD_RUN_PATH":
		return true, true
	case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "SHLVL", "OLDPWD", "TMPDIR", "TMP", "TEMP", "_":
		return false, true
	}
	keep = strings.HasPrefix(name, "LC_")
	return keep, keep
}
