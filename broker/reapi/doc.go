// Package reapi speaks the Remote Execution API (remote-apis v2 over gRPC), the
// protocol between crosscc's agent and its helpers, for the agent: Client is a
// broker.Runner that has its jobs run by a server. The other end, at which a helper
// takes jobs, is package door. What REAPI has no words for is the small service in
// helperpb: which toolchains are there, how busy a helper is, and Run, a job in one
// round trip.
//
// A newcomer starts with Client.Run. How a job is worded is package wire, how a
// helper's state is, package states; how blobs move is package cas.
//
// There are two ways of a job. To a helper of ours, which says so with its
// capabilities, it is one call of Run (run.go): the action, its command, and the few
// inputs that the helper was never told of go with the call, the outputs come with the
// answer, and a kept result comes the same way. When much is unknown, and to any other
// server, the client does as REAPI has it: it asks for a kept result and for what is
// missing, uploads that, and executes. What goes to another machine is compressed with
// zstd where that gains; what stays on this one is not.
package reapi
