# 1 "made.c"
int made(int n) { return n * 3; }
