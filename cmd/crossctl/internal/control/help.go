package control

import (
	"fmt"

	"github.com/crosscc/crosscc/cmd/crossctl/internal/words"
)

// usage is the text of crossctl --help.
const usage = `usage: crossctl COMMAND [OPTIONS] [ARGS]

See and steer crosscc: what its agent did, which compilers its helpers have,
and why a command is compiled where it is.

commands:
  status                   jobs, matches and helpers of your agent
  doctor                   look for what is wrong, and how to mend it
  explain -- COMMAND...    where COMMAND would be compiled, and why
  toolchains [HELPER]      the compilers that helpers have
  native [COMPILER] [FLAGS...]
                           what -march=native means on this machine
  verify [N] [-- BUILD...] compile here what helpers compile, and compare
  image pin|add|ls|rm|verify
                           keep the container images that a helper compiles with
  pack COMPILER... -o FILE make an image of compilers, for a helper without them
  stop                     let the agent finish its jobs and go
  help [COMMAND]           this text, or a command's

options:
      --json               print JSON
  -h, --help               print this text, or a command's
      --version            print the version

not built yet:
  top hosts slots cache ca
  invite join leave drain setup dashboard logs

exit status: 0 well, 1 a finding, 2 the command line cannot be done

example:
  $ export CROSSCC_HOSTS=grpc://10.0.0.7/8
  $ crossctl doctor
  $ crossctl explain -- aarch64-unknown-linux-gnu-gcc -O2 -c hello.c
  $ make -j8 CC="crosscc aarch64-unknown-linux-gnu-gcc"
  $ crossctl status
`

const statusHelp = `usage: crossctl status [--json]

Print what your agent did since it started: how jobs ended, how well the
toolchains matched, why jobs were local, and how each helper is. No agent is
started for this; where none runs all counts are zero.

      --json    print JSON, in the shape that scripts may rely on

example:
  $ crossctl status --json | jq .jobs.remote
`

const toolchainsHelp = `usage: crossctl toolchains [--json] [HELPER]

List the compilers that helpers have, sorted by target. HELPER is an address
as status prints it; the helper inside the agent is "embedded". A clang serves
more targets than its own; "+N" says how many more, and --json names them.
The exit status is 1 when there is nothing to list.

      --json    print JSON: a list of helpers with their toolchains

example:
  $ crossctl toolchains embedded
`

const explainHelp = `usage: crossctl explain [--json] [--key] -- COMMAND...

Say where COMMAND would be compiled and why, which compiler it means and what
each helper has for it. Nothing is compiled; the compiler is asked for its
identity.

      --json    print JSON
      --key     print the text under which the helper that matches best would
                keep the result: all that it depends on

example:
  $ crossctl explain -- aarch64-unknown-linux-gnu-gcc -O2 -c hello.c
`

const nativeHelp = `usage: crossctl native [--json] [--vertical] [--no-cache-sizes] [COMPILER] [FLAGS...]

Print in one line the flags that say on any machine what -march=native says on
this one: for CFLAGS in make.conf, or for a build elsewhere, in front of other
-m flags. COMPILER is gcc unless you say so; FLAGS are others of the command
(-m32, -mtune=native).

      --vertical          print one flag a line
      --no-cache-sizes    leave the sizes of caches out (--param=…), by which
                          machines of one model may differ
      --json              print JSON: compiler, identity, flags, and words, which
                          is all that the compiler proper gets

example:
  $ crossctl native gcc-12 -mtune=native
`

const doctorHelp = `usage: crossctl doctor [--json]

Look for what is wrong: the programs of crosscc, the sandbox, the host list,
the agent (it is started when none runs) and each helper. Each finding comes
with the command that mends it. The exit status is 1 when there is a finding.

      --json    print JSON

example:
  $ crossctl doctor
`

const verifyHelp = `usage: crossctl verify [--json] [N] [-- BUILD...]
       crossctl verify --clear [HELPER]

Have the next N compiles that a helper does be done by the local compiler as
well, and compare both byte for byte (from a calibrated toolchain: all but
.comment). With BUILD, run that command and tell of the compiles in it, all of
them where N is not given. Without either, tell what was found so far. The build
gets the local objects. Exit status 1 says that some differed, or that BUILD
failed.

A helper whose object differed gets no more jobs for that toolchain, in this
build or another, until --clear takes that back: for HELPER, or for all.

      --clear   trust again
      --json    print JSON

example:
  $ crossctl verify 50 -- make -j8 CC='crosscc gcc'
`

const stopHelp = `usage: crossctl stop [--json]

Let your agent finish its jobs and go. The next build starts another. Where no
agent runs there is nothing to do.

      --json    print JSON: {"stopped": true} where an agent ran

example:
  $ crossctl stop
`

const helpHelp = `usage: crossctl help [COMMAND]

Print what crossctl can do, or what COMMAND does.

example:
  $ crossctl help explain
`

// unbuiltHelp is the help of a command that only parses yet.
func unbuiltHelp(r row) string {
	return fmt.Sprintf("usage: crossctl %s\n\nWill %s. It is not built yet.\n", r.use, r.will)
}

func unbuilt(name string) error {
	return &words.Fault{Text: name + " is not built yet; see `crossctl --help` for what is", Usage: true}
}
