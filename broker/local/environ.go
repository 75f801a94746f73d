package local

import "strings"

// A Variable is a row of the listed environment: what travels with each job,
// because the agent has no settings of its own and none of the build's.
type Variable struct {
	Name   string // a * stands for any text
	Reason string // what reads it
}

// Variables is the listed environment (design section 2). What is not in it
// never reaches the agent; programs that the wrapper runs get all of it anyway.
func Variables() []Variable {
	return []Variable{
		{"CROSSCC_*", "our own settings"},
		{"DISTCC_*", "distcc's, which we honour"},
		{"UNCACHED_ERR_FD", "ccache: where our own words go"},
		{"PATH", "which compiler, which as"},
		{"PWD", "DW_AT_comp_dir, with its links"},
		{"HOME", "~ in settings, clang's user configuration"},
		{"XDG_CONFIG_HOME", "the same"},
		{"TMPDIR", "temporary files, named in some messages"},
		{"LANG", "language of messages"},
		{"LANGUAGE", "language of messages"},
		{"LC_*", "language and quotes of messages"},
		{"TERM", "colour"},
		{"COLORTERM", "gcc: links in messages"},
		{"COLUMNS", "gcc: width of the lines that it quotes"},
		{"GCC_COLORS", "colour"},
		{"GCC_URLS", "links in messages"},
		{"TERM_URLS", "links in messages"},
		{"GCC_EXTRA_DIAGNOSTIC_OUTPUT", "gcc: fix-its on stderr"},
		{"GCC_DIAGNOSTICS_LOG", "gcc: writes a log"},
		{"EXPERIMENTAL_SARIF_SOCKET", "gcc: sends messages to a socket"},
		{"SOURCE_DATE_EPOCH", "__DATE__ and __TIME__"},
		{"CPATH", "include path"},
		{"C_INCLUDE_PATH", "include path"},
		{"CPLUS_INCLUDE_PATH", "include path"},
		{"OBJC_INCLUDE_PATH", "include path"},
		{"OBJCPLUS_INCLUDE_PATH", "include path (clang)"},
		{"DEPENDENCIES_OUTPUT", "another output"},
		{"SUNPRO_DEPENDENCIES", "another output"},
		{"LIBRARY_PATH", "link; gcc finds start files by it"},
		{"LD_RUN_PATH", "link: where the program looks for its libraries"},
		{"LD_LIBRARY_PATH", "libraries of the compiler itself"},
		{"LD_PRELOAD", "may change the compiler itself"},
		{"GCC_EXEC_PREFIX", "where gcc finds its parts"},
		{"COMPILER_PATH", "where gcc finds its parts"},
		{"GCC_COMPARE_DEBUG", "gcc compiles twice"},
		{"GCC_ROOT", "where gcc finds its parts"},
		{"CCC_OVERRIDE_OPTIONS", "clang: edits the command line"},
		{"QA_OVERRIDE_GCC3_OPTIONS", "clang: the same, its old name"},
		{"CCC_ADD_ARGS", "clang: the same, its older name"},
		{"CC_PRINT_*", "clang: other outputs"},
		{"CC_LOG_DIAGNOSTICS*", "clang: other outputs"},
		{"CLANG_*", "clang: configuration files, crash reports"},
		{"FORCE_CLANG_DIAGNOSTICS_CRASH", "clang: acts as if it had crashed"},
		{"SDKROOT", "clang: sysroot for Apple's targets"},
		{"*_DEPLOYMENT_TARGET", "clang: version in Apple's triples"},
		{"GLIBC_TUNABLES", "which libm a clang folds with"},
	}
}

// Listed is the part of an environment that is in Variables, in its order; of a
// variable set twice the first counts, as for getenv.
func Listed(environ []string) []string {
	rows := Variables()
	var list []string
	for _, kv := range environ {
		name, _, ok := strings.Cut(kv, "=")
		if !ok || name == "" || !listed(rows, name) {
			continue
		}
		if _, seen := lookup(list, name); !seen {
			list = append(list, kv)
		}
	}
	return list
}

func listed(rows []Variable, name string) bool {
	for _, row := range rows {
		if row.Name[0] != name[0] && row.Name[0] != '*' {
			continue // this runs for each variable of each compile
		}
		before, after, pattern := strings.Cut(row.Name, "*")
		if name == row.Name || pattern && strings.HasPrefix(name, before) && strings.HasSuffix(name, after) {
			return true
		}
	}
	return false
}

// Getenv is os.Getenv over a list K=V.
func Getenv(environ []string, name string) string {
	value, _ := lookup(environ, name)
	return value
}

func lookup(environ []string, name string) (value string, ok bool) {
	for _, kv := range environ {
		if len(kv) > len(name) && kv[len(name)] == '=' && kv[:len(name)] == name {
			return kv[len(name)+1:], true
		}
	}
	return "", false
}

// Setenv returns environ with changes made: K=V sets, a word without "="
// removes. environ itself stays as it is.
func Setenv(environ []string, changes ...string) []string {
	drop := make(map[string]bool, len(changes))
	for _, kv := range changes {
		name, _, _ := strings.Cut(kv, "=")
		drop[name] = true
	}
	list := make([]string, 0, len(environ)+len(changes))
	for _, kv := range environ {
		if name, _, _ := strings.Cut(kv, "="); !drop[name] {
			list = append(list, kv)
		}
	}
	for _, kv := range changes {
		if strings.Contains(kv, "=") {
			list = append(list, kv)
		}
	}
	return list
}
