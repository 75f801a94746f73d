// Package toolchains knows compilers: what a target triple means, what one
// compiler is, and whether two of them make the same objects.
//
// A newcomer starts at [Probe], which asks one driver who it is, and at
// [MatchOf], which compares the answer with what a build wants. Around them:
//
//   - triple.go, arches.go, machine.go: spellings of targets, and the kind of
//     object file that each target has. Adding a target is adding a row.
//   - root.go: a file system by descriptor. Every file is read beneath it, so
//     that a compiler in a chroot or an image is looked at where it really is.
//   - probe.go, gcc.go, clang.go, words.go: the questions, and reading the
//     answers. Nothing is guessed from a compiler's name.
//   - fingerprint.go, libraries.go: digests that tell that a file changed.
//   - cache.go: answers kept for as long as stat proves that they hold.
//   - discover.go: finding drivers on a machine.
//
// The package runs nothing by itself: whoever calls gives a [RunFunc], and
// decides with it in which root, sandbox or process the compilers run.
package toolchains
