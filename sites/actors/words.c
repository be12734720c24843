#include "words.h"

#include <string.h>

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* The value of `key` in place; its length in *length. NULL if not there. */
static const char *find(const char *words, size_t size, const char *key,
                        size_t *length)
{
    size_t key_bytes = strlen(key);

    for (size_t at = 0; at < size;) {
        size_t end = at;
        while (end < size && !is_blank(words[end])) {
            end++;
        }
        if (end - at > key_bytes && words[at + key_bytes] == '=' &&
            memcmp(words + at, key, key_bytes) == 0) {
            *length = end - at - key_bytes - 1;
            return words + at + key_bytes + 1;
        }
        at = end + 1;
    }
    return NULL;
}

bool words_text(const char *words, size_t size, const char *key, char *value,
                size_t value_size)
{
    size_t length = 0;
    const char *found = find(words, size, key, &length);

    if (found == NULL || length >= value_size) {
        return false;
    }
    memcpy(value, found, length);
    value[length] = '\0';
    return true;
}

bool words_number(const char *words, size_t size, const char *key,
                  uint64_t otherwise, uint64_t max, uint64_t *value)
{
    size_t length = 0;
    const char *found = find(words, size, key, &length);
    uint64_t v = 0;

    *value = otherwise;
    if (found == NULL) {
        return true;
    }
    if (length == 0 || length > 18) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (found[i] < '0' || found[i] > '9') {
            return false;
        }
        v = v * 10 + (uint64_t)(found[i] - '0');
    }
    *value = v;
    return v <= max;
}

void words_put(struct words *w, const char *key, uint64_t value)
{
    char digits[24];
    size_t n = 0;
    size_t key_bytes = strlen(key);

    do {
        digits[n++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    if (w->size + key_bytes + n + 2 > sizeof w->text) {
        return;
    }
    memcpy(w->text + w->size, key, key_bytes);
    w->size += key_bytes;
    w->text[w->size++] = '=';
    while (n > 0) {
        w->text[w->size++] = digits[--n];
    }
    w->text[w->size++] = '\n';
}
