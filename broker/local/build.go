package local

import "runtime/debug"

// linkedBuild is set by the linker:
// -ldflags "-X github.com/crosscc/crosscc/broker/local.linkedBuild=…". Nothing
// writes it at run time.
var linkedBuild string

// BuildID names this build of crosscc, the same in all programs of one build:
// what the linker was given, else module version and revision. Two builds of a
// modified tree have one name unless the linker is told another.
func BuildID() string {
	if linkedBuild != "" {
		return linkedBuild
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	id := info.Main.Version
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			id += " " + s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			id += " modified"
		}
	}
	return id
}
