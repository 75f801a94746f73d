// Package e2e tests crosscc as a build sees it: its real programs, real
// compilers, real processes. The scripts in testdata/script are the promises;
// each reads from top to bottom without knowledge of the code. A newcomer starts
// with testdata/script/first.txtar, then with the commands in harness_test.go.
//
// demo is the program behind `make demo`, object compares object files for both.
package e2e
