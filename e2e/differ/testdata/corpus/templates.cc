// Templates, constexpr, lambdas, inline variables.
#include <cstdint>
#include <type_traits>
#include "sub/shape.h"
template <typename T, int N> struct ring {
	T v[N] = {};
	constexpr T at(int i) const { return v[i % N]; }
};
template <typename T> std::enable_if_t<std::is_integral<T>::value, T> half(T x) { return x / 2; }
int used(int n)
{
	ring<int, 5> r;
	auto add = [&](int k) { return r.at(k) + n; };
	return add(half(n)) + half<std::int64_t>(n);
}
const char *pretty() { return __PRETTY_FUNCTION__; }
