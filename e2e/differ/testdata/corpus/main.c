#include <stdio.h>
extern int common;
int *address(void);
int main(void) { printf("%s %d\n", __FILE__, *address() + common); return 0; }
