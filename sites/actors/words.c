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

static void put(struct words *w, const char *text, size_t bytes)
{
    if (w->size + bytes <= sizeof w->text) {
        memcpy(w->text + w->size, text, bytes);
        w->size += bytes;
    }
}

/* A number and what follows it. */
static void put_number(struct words *w, uint64_t value, char after)
{
    char digits[24];
    size_t at = sizeof digits;

    digits[--at] = after;
    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    put(w, digits + at, sizeof digits - at);
}

void words_put(struct words *w, const char *key, uint64_t value)
{
    words_begin(w, key);
    put_number(w, value, '\n');
}

void words_begin(struct words *w, const char *key)
{
    put(w, key, strlen(key));
    put(w, "=", 1);
}

void words_pair(struct words *w, uint64_t a, uint64_t b)
{
    put_number(w, a, ':');
    put_number(w, b, ',');
}

void words_end(struct words *w)
{
    put(w, "\n", 1);
}
