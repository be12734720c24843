#include "log.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void log_init(struct log *l, const char *site, const char *form)
{
    *l = (struct log){.site = site,
                      .off = strcmp(form, "none") == 0,
                      .json = strcmp(form, "json") == 0,
                      .journal = getenv("JOURNAL_STREAM") != NULL};
}

static const char *level_name(enum log_level level)
{
    switch (level) {
    case LOG_ERROR:
        return "error";
    case LOG_WARN:
        return "warn";
    case LOG_NOTE:
        return "note";
    case LOG_DEBUG:
        return "debug";
    }
    return "?";
}

static void put(const struct log *l, enum log_level level, const char *text)
{
    struct timespec now;
    struct tm tm;
    char when[32];

    clock_gettime(CLOCK_REALTIME, &now);
    if (l->json) {
        json_t *line =
            json_pack("{s:f, s:s, s:s, s:s}", "time",
                      (double)now.tv_sec + (double)now.tv_nsec / 1e9, "site",
                      l->site, "level", level_name(level), "text", text);
        char *s = line == NULL ? NULL : json_dumps(line, JSON_COMPACT);
        fprintf(stderr, "%s\n", s == NULL ? "{}" : s);
        free(s);
        json_decref(line);
        return;
    }
    if (l->journal) {
        fprintf(stderr, "<%d>%s %s\n", (int)level, l->site, text);
        return;
    }
    localtime_r(&now.tv_sec, &tm);
    strftime(when, sizeof when, "%H:%M:%S", &tm);
    fprintf(stderr, "%s.%03ld %s %s %s\n", when, now.tv_nsec / 1000000, l->site,
            level_name(level), text);
}

/* Whether this second still has room for a line. */
static bool admit(struct log *l)
{
    struct timespec now;
    char text[64];

    clock_gettime(CLOCK_MONOTONIC, &now);
    if ((uint64_t)now.tv_sec != l->second) {
        l->second = (uint64_t)now.tv_sec;
        l->lines = 0;
        if (l->suppressed > 0) {
            snprintf(text, sizeof text, "%u lines suppressed", l->suppressed);
            l->suppressed = 0;
            put(l, LOG_WARN, text);
        }
    }
    if (l->lines++ < LOG_PER_SECOND) {
        return true;
    }
    l->suppressed++;
    return false;
}

void log_line(struct log *l, enum log_level level, const char *format, ...)
{
    char text[1024];
    va_list args;

    if (l->off || (level > LOG_ERROR && !admit(l))) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    put(l, level, text);
}
