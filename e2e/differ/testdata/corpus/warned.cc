#include <cstddef>
class old { public: int k, j; old(int n) : j(n), k(j) {} virtual void f(); };
int said(old *o, unsigned n) { int m; if (n < -1) delete o; for (int i = 0; i < sizeof(int); i++); return (int)(size_t)o; }
