// Package rendezvous is where a wrapper and its agent find each other: the place
// of the socket, the check of who is at the other end, and the start of exactly
// one agent however many wrappers want one.
//
// A newcomer starts with Connect, the wrapper's side, and Listen, the agent's.
//
// Beside the socket agent.sock lie agent.sock.lock (held by the agent that
// serves), agent.sock.start (held by the wrapper that starts one) and
// agent.sock.failed (why the last start failed, good for a minute).
package rendezvous
