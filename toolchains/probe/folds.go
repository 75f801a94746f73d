package probe

import (
	"fmt"
	"math"
	"strings"
)

// A fold is a mathematical function that clang computes at compile time with
// the libm of its host.
type fold struct {
	Name     string
	Low, Top float64 // where steady arguments are taken from
	Telling  string  // arguments, written for C, separated by spaces
}

// folds has arguments on which glibc 2.36's variants with and without FMA
// differ, found by running each on 200,000 arguments with
// GLIBC_TUNABLES=glibc.cpu.hwcaps=-FMA,-AVX2,-FMA4 and without. The functions
// that have none did not differ there; a libm that is not glibc may.
var folds = [...]fold{
	{"sin", -100, 100, "0x1.5c976ec1d72f8p+4 0x1.fd8c0defbbf58p+5 0x1.3b7f6503f8e9ep+6 -0x1.4b071fa7cba38p+6"},
	{"cos", -100, 100, "-0x1.8b6f3fe25e36bp+6 0x1.1b60e31f1e34p+4 0x1.05616971d93p+3 -0x1.1e8377b127d4p+1"},
	{"tan", -100, 100, "-0x1.915954e19c96p+2 -0x1.461c0c4e0e54cp+4"},
	{"asin", -1, 1, "-0x1.061192507f888p-3 -0x1.18650d2042d5p-4 -0x1.a29f4d98a8fb8p-1 0x1.c650e44248694p-2"},
	{"acos", -1, 1, "0x1.776d5a3be3764p-1 0x1.ebec6c6ac14cap-1 -0x1.7cb1a114e2d8ap-1 0x1.27d61f56bdc42p-1"},
	{"atan", -50, 50, "0x1.6e0d0643291bp+3 0x1.eda21bd733a8p-2 -0x1.a46232f871b8p-1 0x1.f72b608a31p-4"},
	{"sinh", -20, 20, "0x1.cde5283cfaa4cp+2 0x1.dc2e6b718c4p-5 -0x1.1ac32109e683bp+4 0x1.69ec8463cb4p-2"},
	{"cosh", -20, 20, "-0x1.96fe8e10d0c94p+2 0x1.1ea3105abcc0ep+4 -0x1.171ee4a02a58p+0 0x1.4b90a80d26ep-1"},
	{"tanh", -5, 5, "0x1.c88b3c96dacdp-1 -0x1.305b50feb8e6p-3 -0x1.d723131da9418p+0 0x1.77271a59c87p-4"},
	{"exp", -50, 50, "0x1.9e65a442a3b9cp+3 -0x1.4443bb1400acp+0 0x1.71f36bc118f1ep+5 -0x1.e015c4ef7310cp+4"},
	{"exp2", -50, 50, ""},
	{"log", 0.01, 1000, ""},
	{"log2", 0.01, 1000, "0x1.cd296ab99b15cp+9 0x1.79781c557576p-1 0x1.89a15247d4e7p+6"},
	{"log10", 0.01, 1000, ""},
	{"pow", 0.01, 20, "0x1.efa7337fccad8p-1,1.37 0x1.c9ccc2a7d6504p+2,-0x1.038227c7eedd4p+3 0x1.ea20411a03f4fp+3,-0x1.3d8cc3b38f08dp+4 0x1.22da78b5a6451p+1,0x1.7f0656c18f178p+1"},
	{"atan2", -20, 20, "0x1.45f3da355f13cp+2,0x1.3a24f17119772p+4 -0x1.4f8014374fb78p+1,-0x1.97485ac94aa8p+0 0x1.e968081e49bp+0,0x1.fd4cb91ef19f4p+3 -0x1.6241e98fabf8p-1,-0x1.5f96ba1e0991p+1"},
	{"fmod", -20, 20, ""},
}

// foldSteps is how many steady arguments each function gets besides.
const foldSteps = 12

// foldSource is a C source with one function for each folded call.
func foldSource() string {
	var b strings.Builder
	n := 0
	call := func(name, args string) {
		fmt.Fprintf(&b, "double f%d(void) { return __builtin_%s(%s); }\n", n, name, args)
		n++
	}
	for _, f := range folds {
		for args := range strings.FieldsSeq(f.Telling) {
			call(f.Name, args)
		}
		for i := range foldSteps {
			// An irrational step, so that the arguments use all bits of a mantissa.
			x := f.Low + (f.Top-f.Low)*math.Mod(float64(i+1)*math.Phi, 1)
			args := fmt.Sprintf("%x", x)
			if f.Name == "pow" || f.Name == "atan2" || f.Name == "fmod" {
				args += fmt.Sprintf(",%x", x/math.Pi+1)
			}
			call(f.Name, args)
		}
	}
	return b.String()
}

// foldResults keeps the lines of LLVM's assembly that hold a result. Where a
// target's library lacks the function the line names a call instead.
func foldResults(ir string) string {
	var b strings.Builder
	b.WriteString("crosscc folds v1\n") // bump when the meaning changes
	for line := range strings.Lines(ir) {
		if strings.HasPrefix(line, "  ret ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
