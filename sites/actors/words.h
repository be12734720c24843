#ifndef WORDS_H
#define WORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "key=value" words separated by blanks or new lines: read and written. */

/** The value of a key, copied and NUL-terminated. @return false if it is not
 * there or does not fit */
bool words_text(const char *words, size_t size, const char *key, char *value,
                size_t value_size);

/** The value of a key as a decimal number; `otherwise` if it is not there.
 * @return false if it is there and no number up to `max` */
bool words_number(const char *words, size_t size, const char *key,
                  uint64_t otherwise, uint64_t max, uint64_t *value);

enum { WORDS_BYTES = 24576 };

struct words {
    char text[WORDS_BYTES];
    size_t size;
};

/** Appends a line; what does not fit is left out. */
void words_put(struct words *w, const char *key, uint64_t value);

/** A line of pairs, "key=1:2,3:4,": its beginning, one pair, its end. */
void words_begin(struct words *w, const char *key);
void words_pair(struct words *w, uint64_t a, uint64_t b);
void words_end(struct words *w);

#endif
