package option

// Operand says where an option has its operand.
type Operand int

// The forms, as the option table has them.
const (
	NoOperand       Operand = iota // the word is the name
	JoinedOperand                  // the rest of the word, possibly nothing
	SeparateOperand                // the next word
	EitherOperand                  // the rest of the word, or the next one when nothing is left
)

// A Rule is one row of the option table, for those who make command lines.
type Rule struct {
	Name    string
	Operand Operand
	Local   Reason // why a command that has it is never sent; "" when it may be
}

// Rules are the option table's rows for a family: every option that has an operand or a meaning of its own. A word
// that begins with a dash and has no row goes along unchanged.
func Rules(f Family) []Rule {
	var list []Rule
	for _, r := range table {
		if r.only != Unknown && r.only != f {
			continue
		}
		o := Rule{Name: r.name, Operand: Operand(r.form)}
		switch to := lookup(r.aliased(), f); to.kind {
		case KindLocal:
			o.Local = to.reason
		case KindPrints:
			o.Local = Prints
		case KindPreprocess:
			o.Local = PreprocessOnly
		}
		list = append(list, o)
	}
	return list
}

// aliased is the name of the row whose meaning counts.
func (r row) aliased() string {
	if r.alias != "" {
		return r.alias
	}
	return r.name
}
