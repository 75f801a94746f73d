int common; static int zero[64]; const int constant = 7;
int *address(void) { return common ? &zero[3] : &common; }
