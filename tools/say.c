#include "say.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { HINTS_MAX = 2, WORD_MAX = 64 };

static struct {
    const char *verb;
    const char *object;
    bool quiet;
    unsigned hints;
} about;

void say_about(const char *verb, const char *object)
{
    about.verb = verb;
    about.object = object;
}

void say_quiet(bool quiet)
{
    about.quiet = quiet;
}

__attribute__((format(printf, 1, 0))) static void error(const char *format,
                                                        va_list args)
{
    fflush(stdout);
    fputs("motet: ", stderr);
    if (about.verb != NULL) {
        fputs(about.verb, stderr);
        if (about.object != NULL) {
            fprintf(stderr, " %.200s", about.object);
        }
        fputs(": ", stderr);
    }
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    about.hints = 0;
}

void say_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error(format, args);
    va_end(args);
}

enum exit_code say_fail(enum exit_code code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    error(format, args);
    va_end(args);
    return code;
}

void say_hint(const char *format, ...)
{
    va_list args;

    if (about.hints++ >= HINTS_MAX) {
        return;
    }
    fputs("  ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

void say(const char *format, ...)
{
    va_list args;

    if (about.quiet) {
        return;
    }
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Levenshtein's, a row at a time. */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[WORD_MAX + 1];
    size_t n = strlen(b);

    if (n > WORD_MAX || strlen(a) > WORD_MAX) {
        return WORD_MAX;
    }
    for (size_t j = 0; j <= n; j++) {
        row[j] = (unsigned)j;
    }
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < n; j++) {
            unsigned cost = diagonal + (a[i] == b[j] ? 0 : 1);
            diagonal = row[j + 1];
            row[j + 1] = least(cost, row[j] + 1, diagonal + 1);
        }
    }
    return row[n];
}

const char *say_nearest(const char *word, const char *const words[],
                        size_t count)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(word) / 3 + 1;

    for (size_t i = 0; i < count; i++) {
        unsigned d = distance(word, words[i]);
        if (d <= best_distance && d < strlen(words[i])) {
            if (best == NULL || d < best_distance) {
                best = words[i];
                best_distance = d;
            }
        }
    }
    return best;
}
