// Package calibrate finds out whether two toolchains of one version make the same
// objects, before a job of one is done by the other.
//
// A version number is not enough: Debian's arm64 gcc 12.2.0-14+deb12u1 and its
// cross gcc 12.2.0-14 have one version, one set of option tables and the same
// words for cc1, and differ in every function with a protected array once
// -fstack-protector-strong is given. So a corpus of our own is compiled with
// exactly the options of a job on both sides, and compared section by section. A
// result holds for two toolchains, file by file, and one set of options.
//
// Start with [Calibrate], which asks for compiles and compares; corpus.go and the
// folder corpus are what is compiled, compare.go how objects are compared. A
// [Book] keeps the results, and Distrust what a real compile has shown.
package calibrate
