const char *odd(void) { return __FILE__; }
