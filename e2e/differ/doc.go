// Package differ is a test: it makes command lines that nobody thought of, from
// the option table and from what each compiler says it knows, compiles each
// through crosscc and without, and wants the same status, words, files and modes.
//
// `go test ./e2e/differ` is brief and always the same; `make soak` goes on with
// other commands: SOAK="-rapid.checks=5000 -rapid.seed=7". What fails is shrunk to
// a command that is as short as possible; it becomes a script in e2e.
//
// Start with TestDiffer; words.go has what commands are made of, command.go how.
package differ
