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

struct words {
    char text[1024];
    size_t size;
};

/** Appends a line; what does not fit is left out. */
void words_put(struct words *w, const char *key, uint64_t value);

#endif
