#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cluster.h"
#include "say.h"
#include "verbs.h"

/* motet site logs: what a site wrote, and with -f what it goes on to write. */

enum { LINES_DEFAULT = 20, CHUNK_BYTES = 65536, POLL_NS = 100000000 };

static struct logs {
    bool follow;
    uint64_t lines;
} logs = {.lines = LINES_DEFAULT};

/* Where the last `lines` lines begin; reads backwards, a chunk at a time. */
static long tail_start(FILE *f, uint64_t lines)
{
    static char chunk[CHUNK_BYTES];
    long end = fseek(f, 0, SEEK_END) == 0 ? ftell(f) : 0;
    uint64_t seen = 0;

    for (long at = end; at > 0;) {
        long n = at < CHUNK_BYTES ? at : CHUNK_BYTES;
        at -= n;
        if (fseek(f, at, SEEK_SET) != 0 ||
            fread(chunk, 1, (size_t)n, f) != (size_t)n) {
            return 0;
        }
        for (long i = n; i > 0; i--) {
            /* the newline that ends the last line does not count */
            if (chunk[i - 1] == '\n' && at + i != end && ++seen == lines) {
                return at + i;
            }
        }
    }
    return 0;
}

static bool copy(FILE *f)
{
    static char chunk[CHUNK_BYTES];
    size_t n;

    clearerr(f);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
        if (fwrite(chunk, 1, n, stdout) != n) {
            return false;
        }
    }
    return fflush(stdout) == 0;
}

static enum exit_code show(const struct site_files *site)
{
    FILE *f = fopen(site->log, "re");

    if (f == NULL) {
        return say_fail(EXIT_FAILED, "cannot read %.300s: %s", site->log,
                        strerror(errno));
    }
    bool ok = fseek(f, tail_start(f, logs.lines), SEEK_SET) == 0 && copy(f);
    while (ok && logs.follow) {
        clock_sleep(POLL_NS);
        ok = copy(f);
    }
    fclose(f);
    return ok ? EXIT_DONE : EXIT_FAILED;
}

static enum exit_code logs_run(char **args, unsigned count)
{
    struct cluster c;
    const struct site_files *site;
    const char *name = count > 0 ? args[0] : options.site;

    enum exit_code code = cluster_choose(&c, true);
    if (code != EXIT_DONE) {
        return code;
    }
    site = name == NULL ? &c.sites[0] : cluster_site_told(&c, name);
    code = site == NULL ? EXIT_MISSING : show(site);
    cluster_close(&c);
    return code;
}

static const struct flag flags[] = {
    {"follow", 'f', NULL, FLAG_SWITCH, offsetof(struct logs, follow),
     "go on with what is written"},
    {"lines", 'n', "N", FLAG_COUNT, offsetof(struct logs, lines),
     "the last N lines (20)"},
    {NULL, 0, NULL, FLAG_SWITCH, 0, NULL},
};

const struct verb verb_site_logs = {
    .name = "site logs",
    .args = "[NAME]",
    .args_max = 1,
    .flags = flags,
    .into = &logs,
    .run = logs_run,
    .summary = "the log of a site; -f follows it",
    .examples = "  motet site logs site2\n  motet site logs site2 -f -n 100\n",
    .exits = "0 1 2 3 7 124 130",
};
