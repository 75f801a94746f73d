template <class T> T twice(T t) { return t + t.missing; }
int wrong() { return twice(3) + undeclared; }
