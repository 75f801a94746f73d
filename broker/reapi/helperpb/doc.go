// Package helperpb is the generated code of helper.proto, the small service that
// a helper offers beside the Remote Execution API. Nobody edits the .pb.go
// files: change helper.proto and run ../generate.sh. Package reapi turns its
// messages into broker.State and back.
package helperpb

//go:generate ../generate.sh
