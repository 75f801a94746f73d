// Package toolchains knows what a compiler is, and whether two of them make the same
// objects.
//
// A newcomer starts at [Toolchain] and at [MatchOf], which compares the one that a
// build wants with one that is there. Who asks compilers what they are stands around
// it, and imports it:
//
//   - drivers finds them, runs them, and keeps what they say for as long as it holds;
//   - probe makes a Toolchain of it;
//   - native asks what -march=native and its kin mean;
//   - triple is what a target's name means, rootfs the file system that a compiler
//     lives in.
package toolchains
