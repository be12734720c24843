#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "deploy/switch/client.h"
#include "say.h"

enum { ASK_MS = 5000, LOOK_NS = 5000000, LINE_BYTES = 128 };

#define START_NS 10000000000ULL /* until it answers */

static const char *const kinds[] = {
    [NETWORK_NONE] = "none",
    [NETWORK_RELAY] = "relay",
    [NETWORK_SWITCH] = "switch",
};

/* Our end of the pipe by which the program notices that we are gone. */
static int lifeline = -1;

static void read_note(struct network *n)
{
    char line[LINE_BYTES];
    char key[32];
    char value[64];
    FILE *f = fopen(n->note, "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (sscanf(line, "%31s = %63s", key, value) != 2) {
            continue;
        }
        if (strcmp(key, "seed") == 0) {
            n->seed = strtoull(value, NULL, 10);
        }
        for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
            if (strcmp(key, "kind") == 0 && strcmp(value, kinds[i]) == 0) {
                n->kind = (enum network_kind)i;
            }
        }
    }
    if (f != NULL) {
        fclose(f);
    }
}

static bool write_note(const struct network *n)
{
    FILE *f = fopen(n->note, "we");

    if (f == NULL) {
        say_error("cannot write %.300s: %s", n->note, strerror(errno));
        return false;
    }
    fprintf(f, "kind = %s\nseed = %llu\n", kinds[n->kind],
            (unsigned long long)n->seed);
    return fclose(f) == 0;
}

bool network_open(const struct cluster *c, struct network *n)
{
    *n = (struct network){.seed = 1};
    if (!path_join(n->note, c->folders.state, "network", NULL) ||
        !path_join(n->log, c->folders.state, "network", ".log") ||
        !path_join(n->control, c->folders.run, "network", ".ctl") ||
        !path_join(n->pid, c->folders.run, "network", ".pid")) {
        return false;
    }
    read_note(n);
    n->running = process_read(n->pid, &n->process);
    return true;
}

/* ---- start and stop --------------------------------------------------------
 */

static bool wait_answer(struct network *n)
{
    const uint64_t end = clock_ns() + START_NS;

    while (clock_ns() < end && process_look(&n->process)) {
        int fd = switch_connect(n->control);
        if (fd >= 0) {
            close(fd);
            n->running = true;
            return true;
        }
        clock_sleep(LOOK_NS);
    }
    say_error("motet-switch does not answer");
    say_hint("its log: %s", n->log);
    return false;
}

bool network_start(struct network *n, enum network_kind kind, uint64_t seed)
{
    char program[PATH_BYTES];
    char number[24];
    char fd_text[16];
    char control_flag[] = "--control";
    char seed_flag[] = "--seed";
    char starter_flag[] = "--starter";
    char *argv[] = {program, control_flag, n->control, seed_flag,
                    number,  starter_flag, fd_text,    NULL};
    int ends[2];

    n->kind = kind;
    n->seed = seed;
    if (n->running) {
        return true;
    }
    if (!write_note(n) || !process_find("motet-switch", program)) {
        return false;
    }
    if (pipe2(ends, O_CLOEXEC) != 0) {
        say_error("no pipe: %s", strerror(errno));
        return false;
    }
    (void)fcntl(ends[0], F_SETFD, 0); /* this end is the program's */
    snprintf(number, sizeof number, "%llu", (unsigned long long)seed);
    snprintf(fd_text, sizeof fd_text, "%d", ends[0]);
    const bool ok = process_start(argv, n->log, n->pid, &n->process);
    close(ends[0]);
    if (!ok) {
        close(ends[1]);
        return false;
    }
    if (lifeline >= 0) {
        close(lifeline);
    }
    lifeline = ends[1];
    return wait_answer(n);
}

bool network_keep(struct network *n)
{
    return network_ask(n, NULL, "keep");
}

bool network_stop(struct network *n, uint64_t grace_ns)
{
    struct process *p = &n->process;

    if (n->running && process_look(p)) {
        if (p->stopped) {
            (void)process_signal(p, SIGCONT);
        }
        (void)process_signal(p, SIGTERM);
        if (!process_end(p, grace_ns)) {
            say_error("motet-switch: process %d does not end", (int)p->pid);
            return false;
        }
    }
    n->running = false;
    (void)unlink(n->pid);
    (void)unlink(n->control);
    return true;
}

/* ---- asking ----------------------------------------------------------------
 */

static bool deaf(const struct network *n, const char *why)
{
    say_error("the network between the sites does not answer: %s", why);
    say_hint("its log: %s", n->log);
    say_hint("start all anew: motet down; motet up");
    return false;
}

/* The answer as a document; NULL and errno. */
static json_t *ask(const struct network *n, const char *line)
{
    char *text = NULL;
    json_t *doc = NULL;
    int fd = switch_connect(n->control);

    if (fd >= 0 && switch_ask(fd, line, ASK_MS, &text)) {
        doc = json_loads(text, 0, NULL);
        errno = EPROTO;
    }
    const int why = errno;
    free(text);
    if (fd >= 0) {
        close(fd);
    }
    errno = why;
    return doc;
}

bool network_ask(const struct network *n, json_t **answer, const char *format,
                 ...)
{
    char line[SWITCH_LINE_MAX];
    va_list args;

    if (answer != NULL) {
        *answer = NULL;
    }
    va_start(args, format);
    const int size = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (size < 0 || (size_t)size >= sizeof line) {
        say_error("too many words");
        return false;
    }
    json_t *doc = ask(n, line);
    if (doc == NULL) {
        return deaf(n, strerror(errno));
    }
    if (!json_is_true(json_object_get(doc, "ok"))) {
        const char *why = json_string_value(json_object_get(doc, "error"));
        say_error("%s", why != NULL ? why : "the network refuses");
        json_decref(doc);
        return false;
    }
    if (answer != NULL) {
        *answer = doc;
    } else {
        json_decref(doc);
    }
    return true;
}

bool network_seed(const struct cluster *c, uint64_t seed)
{
    struct network n;

    if (!network_open(c, &n)) {
        return false;
    }
    n.seed = seed;
    return write_note(&n) &&
           (!n.running ||
            network_ask(&n, NULL, "seed %llu", (unsigned long long)seed));
}

void network_settle(struct network *n)
{
    enum { END_NS = 2000000000 };

    if (!n->running) {
        return;
    }
    json_t *doc = ask(n, "keep");
    if (!json_is_true(json_object_get(doc, "ok")) &&
        process_wait(&n->process, END_NS)) {
        (void)network_stop(n, 0); /* what it left */
    }
    json_decref(doc);
}

unsigned network_number(const struct site_files *site)
{
    unsigned number;

    return sscanf(site->address, "10.77.0.%u:", &number) == 1 && number < 255
               ? number
               : 0;
}
