#include "clusterfile_check.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cluster.h"
#include "deploy/fault/text.h"
#include "deploy/pki/pki.h"
#include "ground.h"
#include "link_way.h"
#include "say.h"
#include "sites/actors/actors.h"
#include "units.h"

enum {
    FILE_BYTES_MAX = 1 << 20,
    MEMORY_MIN_MIB = 96, /* less does not boot */
    MEMORY_MAX_MIB = 65536,
};

struct checking {
    const char *path;
    const char *text;
    const struct cluster_file *file;
};

char *clusterfile_text(const char *path)
{
    FILE *f = fopen(path, "re");
    char *text = malloc(FILE_BYTES_MAX + 1);

    CHECK(text != NULL);
    if (f == NULL) {
        free(text);
        return NULL;
    }
    const size_t n = fread(text, 1, FILE_BYTES_MAX, f);
    const bool failed = ferror(f) != 0;
    const int why = errno;
    fclose(f);
    if (failed) {
        free(text);
        errno = why;
        return NULL;
    }
    text[n] = '\0';
    return text;
}

/* ---- lines -----------------------------------------------------------------
 */

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

unsigned clusterfile_line(const char *text, const char *value, unsigned nth,
                          unsigned from)
{
    const size_t n = strlen(value);
    unsigned line = 1;
    unsigned last = from;
    bool comment = false;

    for (const char *at = text; *at != '\0' && nth > 0; at++) {
        if (*at == '\n') {
            line++;
            comment = false;
        }
        comment = comment || *at == '#';
        const bool begins = at == text || !is_word(at[-1]);
        if (!comment && begins && line >= from && strncmp(at, value, n) == 0 &&
            !is_word(at[n])) {
            last = line;
            nth--;
        }
    }
    return last;
}

static unsigned line_of(const struct checking *k, const char *value,
                        unsigned nth)
{
    return clusterfile_line(k->text, value, nth, 1);
}

/* "motet.yml:3: " and what is wrong there. */
__attribute__((format(printf, 3, 4))) static enum exit_code
wrong(const struct checking *k, unsigned line, const char *format, ...)
{
    char what[512];
    va_list args;

    va_start(args, format);
    (void)vsnprintf(what, sizeof what, format, args);
    va_end(args);
    say_error("%.200s:%u: %s", k->path, line, what);
    return EXIT_USAGE;
}

/* ---- values ----------------------------------------------------------------
 */

static enum exit_code check_name(const struct checking *k, const char *name,
                                 const char *of)
{
    if (pki_name_ok(name) && strcmp(name, "ca") != 0 &&
        strcmp(name, "network") != 0) { /* files have these names */
        return EXIT_DONE;
    }
    enum exit_code code =
        wrong(k, line_of(k, name, 1), "\"%.100s\" is no name for %s", name, of);
    say_hint("use 1 to %d letters, digits and . _ -", MOTET_NAME_MAX);
    return code;
}

static enum exit_code check_ground(const struct checking *k, const char *name)
{
    char names[64];

    if (name == NULL || ground_find(name) != NULL) {
        return EXIT_DONE;
    }
    enum exit_code code =
        wrong(k, line_of(k, name, 1), "there is no ground \"%.40s\"", name);
    say_hint("try: %s", ground_names(names));
    return code;
}

static enum exit_code read_memory(const struct checking *k, const char *text,
                                  unsigned *mib)
{
    uint64_t bytes;

    if (unit_size(text, &bytes) && bytes >> 20 >= MEMORY_MIN_MIB &&
        bytes >> 20 <= MEMORY_MAX_MIB) {
        *mib = (unsigned)(bytes >> 20);
        return EXIT_DONE;
    }
    enum exit_code code = wrong(k, line_of(k, text, 1),
                                "memory: \"%.40s\" is no size of a "
                                "machine",
                                text);
    say_hint("from %dMiB to %dGiB; 192MiB is usual", MEMORY_MIN_MIB,
             MEMORY_MAX_MIB / 1024);
    return code;
}

static enum exit_code check_actor(const struct checking *k, const char *text)
{
    char kind[MOTET_NAME_MAX + 1];
    const size_t n = strcspn(text, ":");

    snprintf(kind, sizeof kind, "%.*s", (int)(n < 60 ? n : 60), text);
    if (actor_builtin(kind) != NULL) {
        return EXIT_DONE;
    }
    enum exit_code code = wrong(k, line_of(k, kind, 1),
                                "there is no built-in actor \"%s\"", kind);
    say_hint("there are echo, counter and bench; a program of yours goes "
             "under \"start\"");
    return code;
}

/* ---- sites -----------------------------------------------------------------
 */

/* A path beside the file becomes one from here. */
static enum exit_code check_program(const struct checking *k,
                                    struct file_program *p)
{
    char path[PATH_BYTES];
    const char *slash = strrchr(k->path, '/');
    bool ok;

    if (strchr(p->run, '/') == NULL) {
        ok = process_there(p->run, path);
    } else if (p->run[0] == '/' || slash == NULL) {
        ok = snprintf(path, sizeof path, "%s", p->run) < (int)sizeof path &&
             access(path, X_OK) == 0;
    } else {
        ok = snprintf(path, sizeof path, "%.*s/%s", (int)(slash - k->path),
                      k->path, p->run) < (int)sizeof path &&
             access(path, X_OK) == 0;
    }
    if (!ok) {
        enum exit_code code =
            wrong(k, line_of(k, p->run, 1), "cannot run \"%.200s\"", p->run);
        say_hint("a path from the folder of this file, or a program in PATH");
        return code;
    }
    char *copy = realloc(p->run, strlen(path) + 1);
    CHECK(copy != NULL);
    p->run = copy;
    memcpy(copy, path, strlen(path) + 1);
    return EXIT_DONE;
}

static enum exit_code check_memory(const struct checking *k,
                                   struct file_site *s)
{
    const bool machine = strcmp(s->ground, "qemu") == 0;
    enum exit_code code = EXIT_DONE;

    if (s->memory != NULL && !machine) {
        code =
            wrong(k, line_of(k, s->memory, 1),
                  "%s is a %s site: memory is of machines", s->name, s->ground);
        say_hint("leave it out, or say ground: qemu");
        return code;
    }
    const char *text = s->memory != NULL ? s->memory : k->file->memory;
    return machine && text != NULL ? read_memory(k, text, &s->memory_mib)
                                   : code;
}

static enum exit_code check_site(const struct checking *k, unsigned at)
{
    struct file_site *s = &k->file->sites[at];
    enum exit_code code = check_name(k, s->name, "a site");

    for (unsigned i = 0; code == EXIT_DONE && i < at; i++) {
        if (strcmp(k->file->sites[i].name, s->name) == 0) {
            code = wrong(k, line_of(k, s->name, 2), "a second site named %s",
                         s->name);
            say_hint("each site has a name of its own");
        }
    }
    if (code == EXIT_DONE) {
        code = check_ground(k, s->ground);
    }
    if (code == EXIT_DONE && s->ground == NULL) {
        s->ground = strdup(k->file->ground != NULL ? k->file->ground : "host");
        CHECK(s->ground != NULL);
    }
    if (code == EXIT_DONE) {
        code = check_memory(k, s);
    }
    for (unsigned i = 0; code == EXIT_DONE && i < s->actors_count; i++) {
        code = check_actor(k, s->actors[i]);
    }
    for (unsigned i = 0; code == EXIT_DONE && i < s->start_count; i++) {
        code = check_program(k, &s->start[i]);
    }
    return code;
}

/* ---- links -----------------------------------------------------------------
 */

static enum exit_code check_end(const struct checking *k, const char *name)
{
    const char *names[CLUSTER_SITES_MAX];

    for (unsigned i = 0; i < k->file->sites_count; i++) {
        names[i] = k->file->sites[i].name;
        if (strcmp(names[i], name) == 0) {
            return EXIT_DONE;
        }
    }
    enum exit_code code = wrong(k, line_of(k, name, 1),
                                "no site named \"%.100s\" in this file", name);
    const char *near = say_nearest(name, names, k->file->sites_count);
    if (near != NULL) {
        say_hint("did you mean: %s", near);
    } else {
        say_hint("a link is between two of its sites");
    }
    return code;
}

static enum exit_code check_faults(const struct checking *k, const char *text)
{
    struct fate_change change = {0};
    char why[FATE_WHY_MAX] = "";

    if (fate_read(&change, text, why)) {
        return EXIT_DONE;
    }
    enum exit_code code = wrong(k, line_of(k, text, 1), "faults: %s", why);
    say_hint("as in: delay=5ms jitter=1ms loss=1%%");
    return code;
}

static enum exit_code check_transport(const struct checking *k,
                                      const struct file_link *l, bool both)
{
    const bool known = link_way_known(l->transport);

    if (known && both) {
        return EXIT_DONE;
    }
    enum exit_code code =
        wrong(k, line_of(k, l->transport, 1),
              known ? "transport %.32s of one direction"
                    : "transport %.32s: there are tcp, udp and auto",
              l->transport);
    say_hint("between: [SITE, SITE] and transport: udp");
    return code;
}

/* What of a link is looked for in the file to tell its line. */
static const char *mark_of(const struct file_link *l)
{
    return l->faults != NULL ? l->faults : l->transport;
}

static enum exit_code check_link(const struct checking *k,
                                 const struct file_link *l)
{
    const bool both = l->between_count > 0;
    const char *a = both ? l->between[0] : l->from;
    const char *b = both ? l->between[1] : l->to;

    if (mark_of(l) == NULL) {
        enum exit_code code =
            wrong(k, line_of(k, "links", 1), "a link of which nothing is said");
        say_hint("faults: delay=5ms loss=1%%; or transport: udp");
        return code;
    }
    if (a == NULL || b == NULL || (both && (l->from || l->to))) {
        enum exit_code code =
            wrong(k, line_of(k, mark_of(l), 1), "a link without two ends");
        say_hint("between: [SITE, SITE] for both ways; or from: SITE and "
                 "to: SITE");
        return code;
    }
    enum exit_code code = check_end(k, a);
    if (code == EXIT_DONE) {
        code = check_end(k, b);
    }
    if (code == EXIT_DONE && strcmp(a, b) == 0) {
        code =
            wrong(k, line_of(k, mark_of(l), 1), "a link from %s to itself", a);
        say_hint("a link is between two sites");
    }
    if (code == EXIT_DONE && l->transport != NULL) {
        code = check_transport(k, l, both);
    }
    return code == EXIT_DONE && l->faults != NULL ? check_faults(k, l->faults)
                                                  : code;
}

static const struct file_site *first_on(const struct checking *k,
                                        const char *ground)
{
    for (unsigned i = 0; i < k->file->sites_count; i++) {
        if (strcmp(k->file->sites[i].ground, ground) == 0) {
            return &k->file->sites[i];
        }
    }
    return NULL;
}

/* Host sites talk over loopback, those in namespaces over the switch; machines
 * do one or the other, and what goes over loopback to them cannot be broken. */
static enum exit_code check_mix(const struct checking *k)
{
    const struct file_site *host = first_on(k, "host");
    const struct file_site *netns = first_on(k, "netns");
    const struct file_site *qemu = first_on(k, "qemu");

    if (host != NULL && netns != NULL) {
        enum exit_code code = wrong(k, line_of(k, host->name, 1),
                                    "%s (host) and %s (netns) would not reach "
                                    "each other",
                                    host->name, netns->name);
        say_hint("host goes with qemu, netns goes with qemu: choose one of "
                 "them");
        return code;
    }
    if (host != NULL && qemu != NULL && k->file->links_count > 0) {
        enum exit_code code = wrong(k, line_of(k, "links", 1),
                                    "links between %s (host) and machines "
                                    "cannot be broken",
                                    host->name);
        say_hint("say ground: netns instead of host");
        return code;
    }
    return EXIT_DONE;
}

enum exit_code clusterfile_check(const char *path, const char *text,
                                 struct cluster_file *file)
{
    const struct checking k = {path, text, file};
    enum exit_code code = file->name == NULL
                              ? EXIT_DONE
                              : check_name(&k, file->name, "a cluster");

    if (code == EXIT_DONE) {
        code = check_ground(&k, file->ground);
    }
    for (unsigned i = 0; code == EXIT_DONE && i < file->sites_count; i++) {
        code = check_site(&k, i);
    }
    if (code == EXIT_DONE) {
        code = check_mix(&k);
    }
    for (unsigned i = 0; code == EXIT_DONE && i < file->links_count; i++) {
        code = check_link(&k, &file->links[i]);
    }
    return code;
}
