/* A file of bytes by the assembler. */
__asm__(".section .rodata\nbytes:\n.incbin \"include/data.bin\"\n.previous\n");
extern const char bytes[];
int byte(int n) { return bytes[n]; }
