static int hidden(int n) { return n ? hidden(n - 1) + 2 : 0; }
int other(int n) { return hidden(n) + (int)sizeof __FILE__; }
