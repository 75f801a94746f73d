// Package reapi speaks the Remote Execution API (remote-apis v2 over gRPC), the
// protocol between crosscc's agent and its helpers. Client is a broker.Runner
// that has its jobs run by a server; Server is the door at which a helper, or
// rather the broker.Runner in its Backend, takes jobs. What REAPI has no words
// for, which toolchains are there and how busy a helper is, is the small service
// in helperpb.
//
// A newcomer starts with Client.Run (client.go), and on the other side with
// execution.Execute (execution.go). How a job is worded is package wire; how
// blobs move is package cas.
//
// The server takes API versions 2.0 to 2.12, SHA-256, any instance name (there
// is one store behind them all) and no compression; it denies
// UpdateActionResult.
package reapi
