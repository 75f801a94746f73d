// Package local is what a wrapper and its agent say to each other: the messages,
// the socket that carries them with file descriptors, and each side's part of
// the conversation. How they find each other is broker/local/rendezvous.
//
// The wrapper is started once for each compile, so these two packages hold the
// standard library only, and of that neither net nor encoding/json: package net
// alone costs a process 1.2 ms at its start.
//
// A newcomer starts with message.go, which is the whole conversation. The
// wrapper's side of it is Session, the agent's side is Client.
package local
