// Package toolchains knows compilers: what one is, and whether two of them make
// the same objects.
//
// A newcomer starts at [Probe], which asks one driver who it is, and at
// [MatchOf], which compares the answer with what a build wants. What a target's
// name means is package triple, the file system that a compiler lives in package
// rootfs, finding drivers and reading what they say package drivers. Around them:
//
//   - probe.go, gcc.go, clang.go: the questions, and what the answers come to.
//     Nothing is guessed from a compiler's name.
//   - fingerprint.go, libraries.go: digests that tell that a file changed.
//   - cache.go: answers kept for as long as stat proves that they hold.
//   - choose.go: the best of several.
package toolchains
