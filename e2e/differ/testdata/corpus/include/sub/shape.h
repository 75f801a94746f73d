#pragma once
#define SHAPE "square " __FILE__
static inline int side(int n) { return n * n; }
