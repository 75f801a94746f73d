// Exceptions, destructors, virtual calls, RTTI, statics.
struct base { virtual ~base(); virtual int f(int) const = 0; };
struct derived final : base { int k = 3; int f(int n) const override { return n * k; } };
base::~base() {}
int thrown(int n) { if (n > 3) throw n; return n; }
int caught(int n)
{
	derived d;
	try { return thrown(n) + d.f(n); }
	catch (int e) { return -e; }
	catch (...) { throw; }
}
int cast(base *b) { auto *d = dynamic_cast<derived *>(b); return d ? d->k : 0; }
int once() { static int n = thrown(1); return n; }
