// Counts the calls of malloc and its kin on the calling thread. Linked into a test program, where it takes the place of
// the C library's; elsewhere it counts nothing.
#ifndef ALLOCATION_COUNTER_H
#define ALLOCATION_COUNTER_H
/// The number of allocations that the calling thread has made so far; −1 where they cannot be counted.
long allocation_count(void);
#endif
