// What the processor can do, asked once at start (CPUID and XGETBV), and a call of the C library that Swift does not import.
#ifndef C_PROCESSOR_H
#define C_PROCESSOR_H
/// The best instruction set of the kernels that this processor and operating system can run:
/// 0 the baseline, 3 x86-64-v3 (AVX2, FMA), 4 x86-64-v4 (AVX-512 F, BW, CD, DQ, VL).
int processor_level(void);
/// Sets flush-to-zero and denormals-are-zero on the calling thread for good, where the processor has them: for threads
/// that only compute.
void processor_flush_denormals(void);
/// The same for a while: returns what `processor_restore_denormals` puts back.
unsigned processor_exchange_denormals(void);
void processor_restore_denormals(unsigned state);
/// Gives memory that was freed back to the system, where the C library would keep it for later.
void process_release_freed_memory(void);
#endif
