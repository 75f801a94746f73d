/* Floating point: folding, contraction, conversions, complex, long double. */
#include <complex.h>
#include <math.h>

double folded(void) { return pow(1.93, 1.37) + sin(0.5) * sqrt(2.0); }
float fused(float a, float b, float c) { return a * b + c; }
long double longer(long double x, double y) { return x / 3 + (long double)y; }
double complex turned(double complex z) { return z * z + 1.0i; }
int rounded(double d) { return (int)(d + 0.5) + (d != d); }
float series(const float *v, int n)
{
	float s = 0;
	for (int i = 0; i < n; i++)
		s += v[i] * v[i];
	return s;
}
