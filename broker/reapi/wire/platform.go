package wire

import (
	"cmp"
	"slices"
	"strings"

	repb "github.com/bazelbuild/remote-apis/build/bazel/remote/execution/v2"

	"github.com/crosscc/crosscc/argv"
	"github.com/crosscc/crosscc/broker"
	"github.com/crosscc/crosscc/images"
	"github.com/crosscc/crosscc/toolchains"
)

// Platform properties of ours say which toolchain a job needs: its identity,
// one fingerprint a role, and the form of the source; and what -march=native
// means, words with blanks between.
const (
	propertyPrefix      = "crosscc-"
	propertyFamily      = propertyPrefix + "family"
	propertyForm        = propertyPrefix + "form"
	propertyImage       = propertyPrefix + "image"
	propertyNative      = propertyPrefix + "native"
	propertyWith        = propertyPrefix + "with"
	propertyFingerprint = propertyPrefix + "fingerprint-"
)

// identityFields are the properties that hold an identity's texts.
func identityFields(id *toolchains.Identity) map[string]*string {
	return map[string]*string{
		propertyPrefix + "target":    &id.Target,
		propertyPrefix + "version":   &id.Version,
		propertyPrefix + "package":   &id.Package,
		propertyPrefix + "assembler": &id.Assembler,
		propertyPrefix + "defaults":  &id.Defaults,
		propertyPrefix + "libm":      &id.Libm,
	}
}

// platformOf says a job's toolchain and form, sorted; what is empty is left out.
func platformOf(j *broker.Job) *repb.Platform {
	properties := map[string]string{
		propertyFamily: FamilyName(j.Identity.Family),
		propertyForm:   j.Form.String(),
		propertyNative: strings.Join(j.Native, " "),
		propertyWith:   j.With,
		propertyImage:  j.Image,
	}
	id := j.Identity
	for name, value := range identityFields(&id) {
		properties[name] = *value
	}
	for role, hash := range j.Fingerprint {
		properties[propertyFingerprint+role] = hash
	}
	p := &repb.Platform{}
	for name, value := range properties {
		if value != "" {
			p.Properties = append(p.Properties, &repb.Platform_Property{Name: name, Value: value})
		}
	}
	slices.SortFunc(p.Properties, func(a, b *repb.Platform_Property) int { return cmp.Compare(a.Name, b.Name) })
	return p
}

// readPlatform fills in identity, fingerprint, form and what native means. A client that is none
// of ours says nothing of them: its job has no identity, and is a tree.
func readPlatform(p *repb.Platform, j *broker.Job) error {
	j.Form = broker.Tree
	seen := map[string]bool{}
	for _, property := range p.GetProperties() {
		if err := readProperty(property, j); err != nil {
			return err
		}
		if seen[property.Name] {
			return Rejectf("platform property %q is given twice", property.Name)
		}
		seen[property.Name] = true
	}
	return nil
}

// readProperty refuses what it does not know: a property is a requirement, and
// an object made without it would be another one.
func readProperty(p *repb.Platform_Property, j *broker.Job) error {
	if role, ok := strings.CutPrefix(p.Name, propertyFingerprint); ok {
		if j.Fingerprint == nil {
			j.Fingerprint = toolchains.Fingerprint{}
		}
		j.Fingerprint[role] = p.Value
		return nil
	}
	if text, ok := identityFields(&j.Identity)[p.Name]; ok {
		*text = p.Value
		return nil
	}
	known := false
	switch p.Name {
	case propertyFamily:
		j.Identity.Family, known = ParseFamily(p.Value)
	case propertyWith:
		j.With, known = p.Value, true
	case propertyImage:
		_, err := images.ParseDigest(p.Value) // to look it up among those that are there, and for nothing else
		j.Image, known = p.Value, err == nil
	case propertyForm:
		j.Form, known = formOf(p.Value)
	case propertyNative:
		j.Native = strings.Fields(p.Value)
		if err := argv.AdmitNative(j.Native); err != nil || len(j.Native) == 0 {
			return Rejectf("platform property %q: %v", p.Name, err)
		}
		known = true
	case "OSFamily":
		known = strings.EqualFold(p.Value, "linux")
	case "ISA":
		known = true // of the machine that runs the compiler: any makes the same object
	}
	if !known {
		return Rejectf("platform property %q with value %q is not served", p.Name, p.Value)
	}
	return nil
}

func formOf(s string) (broker.Form, bool) {
	for _, f := range []broker.Form{broker.Preprocessed, broker.Tree, broker.Headers} {
		if f.String() == s {
			return f, true
		}
	}
	return 0, false
}

// FamilyName is how a family travels; "" is none that is known.
func FamilyName(f argv.Family) string {
	switch f {
	case argv.GCC:
		return "gcc"
	case argv.Clang:
		return "clang"
	}
	return ""
}

// ParseFamily reads what FamilyName wrote.
func ParseFamily(s string) (argv.Family, bool) {
	for _, f := range []argv.Family{argv.GCC, argv.Clang} {
		if FamilyName(f) == s {
			return f, true
		}
	}
	return argv.Unknown, false
}
