// Package drivers knows the drivers of compilers, the programs that a build calls:
// where they are on a machine, what they say, and for how long that holds.
//
// [Discover] finds them, a [System] is where one lives and is run, a [Report] is
// what it answers to -###. [Recall] puts a question and keeps the answer in a
// [Cache] together with the files that it rests on; what to ask, and what the answer
// comes to, is for packages probe and native.
//
// The package runs nothing by itself: whoever calls gives a [RunFunc], and decides
// with it in which root, sandbox or process the compilers run.
package drivers
