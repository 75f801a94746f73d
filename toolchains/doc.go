// Package toolchains knows compilers: what one is, and whether two of them make
// the same objects.
//
// A newcomer starts at [Probe], which asks one driver who it is, and at
// [MatchOf], which compares the answer with what a build wants. What a target's
// name means is package triple, the file system that a compiler lives in package
// rootfs. Around them:
//
//   - probe.go, gcc.go, clang.go, words.go: the questions, and reading the
//     answers. Nothing is guessed from a compiler's name.
//   - fingerprint.go, libraries.go: digests that tell that a file changed.
//   - cache.go: answers kept for as long as stat proves that they hold.
//   - discover.go, choose.go: finding drivers on a machine, and the best of them.
//
// The package runs nothing by itself: whoever calls gives a [RunFunc], and
// decides with it in which root, sandbox or process the compilers run.
package toolchains
