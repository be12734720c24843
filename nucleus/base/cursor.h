#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The one way to read bytes from outside, and to write bytes that go outside.
 * Little-endian. After the first read or write that does not fit, the cursor
 * is failed: reads give zeroes, writes do nothing, and reader_ok()/writer_ok()
 * say so; so a decoder reads all its fields and asks once. */
struct reader {
    const uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

struct writer {
    uint8_t *data;
    size_t size;
    size_t at;
    bool failed;
};

struct reader reader_of(const void *data, size_t size);
uint8_t read_u8(struct reader *r);
uint16_t read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
uint64_t read_u64(struct reader *r);
/** `size` bytes in place, borrowed from the input; NULL if they are not there. */
const uint8_t *read_span(struct reader *r, size_t size);
size_t reader_left(const struct reader *r);
bool reader_ok(const struct reader *r);
/** All read, and nothing failed. */
bool reader_done(const struct reader *r);

struct writer writer_of(void *data, size_t size);
void write_u8(struct writer *w, uint8_t v);
void write_u16(struct writer *w, uint16_t v);
void write_u32(struct writer *w, uint32_t v);
void write_u64(struct writer *w, uint64_t v);
void write_span(struct writer *w, const void *data, size_t size);
bool writer_ok(const struct writer *w);

#endif
