package broker

import "github.com/crosscc/crosscc/toolchains"

// A State is what a helper tells of itself: what REAPI has no words for. A
// new one is sent whenever something in it changes.
type State struct {
	Version string // of crosscc, for people
	Sandbox string // the runner's name, and what it lacks: bwrap, bwrap without cgroups, docker, none
	Slots   int    // jobs it runs at once
	Running int    // jobs that run now
	Queued  int    // jobs admitted that wait for a slot
	// Draining says that it takes no new jobs.
	Draining bool
	// Toolchains are sorted by identity. Nobody changes them after.
	Toolchains []toolchains.Toolchain
}
