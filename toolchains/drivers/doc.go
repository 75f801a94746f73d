// Package drivers knows the drivers of compilers, the programs that a build calls:
// where they are on a machine, and what they say of themselves.
//
// [Discover] finds them, a [System] is where one lives and is run, and a [Report] is
// what it answers to -###. What the answers come to is for package toolchains, which
// asks the questions.
//
// The package runs nothing by itself: whoever calls gives a [RunFunc], and decides
// with it in which root, sandbox or process the compilers run.
package drivers
