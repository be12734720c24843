#include "measure.h"

#include <inttypes.h>
#include <jansson.h>
#include <motet/supervisor.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "say.h"
#include "table.h"

enum {
    WORDS_BYTES = 512,
    FLOOR_BYTES = 4096,
    TICKS_MIN = 10, /* fewer are no measurement of CPU time */
};

#define ANSWER_NS 10000000000ULL /* besides the measurement itself */

/* ---- the bench actor -------------------------------------------------------
 */

uint64_t measure_number(const char *text, const char *key)
{
    size_t n = strlen(key);

    for (const char *p = text; p != NULL; p = strpbrk(p, " \n")) {
        p += strspn(p, " \n");
        if (strncmp(p, key, n) == 0 && p[n] == '=') {
            return strtoull(p + n + 1, NULL, 10);
        }
        if (*p == '\0') {
            break;
        }
    }
    return 0;
}

enum exit_code measure_ask(struct client *c, const char *site,
                           const char *words, uint64_t timeout_ns,
                           struct client_reply *reply)
{
    char group[MOTET_NAME_MAX + 8];

    snprintf(group, sizeof group, "bench.%s", site);
    const struct motet_dest to = {.target = motet_ui_of_name(group),
                                  .mode = MOTET_TO_ANY};
    enum motet_err err =
        client_call(c, &to, words, strlen(words), timeout_ns, reply);
    if (err != MOTET_OK) {
        say_error("%s: %s", group, motet_err_text(err));
        say_hint("is it there? motet group info %s", group);
        return exit_of(err);
    }
    if (strncmp(reply->body, "error=", 6) == 0) {
        say_error("%s: %.200s", group, reply->body + 6);
        client_reply_free(reply);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static enum exit_code ask(struct client *c, const struct measure *m,
                          uint64_t seconds, struct client_reply *reply)
{
    char words[WORDS_BYTES];

    snprintf(words, sizeof words,
             "op=%s to=%s size=%" PRIu64 " seconds=%" PRIu64
             " warmup_ms=0 window=%" PRIu64 " rate=%" PRIu64,
             m->send ? "send" : "call", m->to_group, m->size, seconds,
             m->window, m->rate);
    return measure_ask(c, m->from->name, words,
                       seconds * 1000000000 + ANSWER_NS, reply);
}

/* ---- what it costs ---------------------------------------------------------
 */

static uint64_t ticks_of(const struct site_files *site)
{
    struct process p = site->process;

    return process_look(&p) ? p.cpu_ticks : 0;
}

static uint64_t ticks_of_both(const struct measure *m)
{
    return ticks_of(m->from) + (m->to == m->from ? 0 : ticks_of(m->to));
}

/* Busy and all ticks of the machine, from /proc/stat. */
static void machine_ticks(uint64_t *busy, uint64_t *all)
{
    uint64_t t[8] = {0};
    FILE *f = fopen("/proc/stat", "re");

    *busy = 0;
    *all = 0;
    if (f == NULL) {
        return;
    }
    int found = fscanf(f,
                       "cpu %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64
                       " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64,
                       &t[0], &t[1], &t[2], &t[3], &t[4], &t[5], &t[6], &t[7]);
    fclose(f);
    for (int i = 0; i < found; i++) {
        *all += t[i];
        *busy += i == 3 || i == 4 ? 0 : t[i];
    }
}

static uint64_t cpu_per_million(uint64_t ticks, uint64_t count)
{
    uint64_t per_s = (uint64_t)sysconf(_SC_CLK_TCK);

    if (ticks < TICKS_MIN || count == 0 || per_s == 0) {
        return CELL_NONE;
    }
    return ticks * 1000000 / per_s * 1000000 / count;
}

/* ---- processors ------------------------------------------------------------
 */

static bool nth_processor(const cpu_set_t *all, size_t nth, cpu_set_t *one)
{
    CPU_ZERO(one);
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, all) && nth-- == 0) {
            CPU_SET(cpu, one);
            return true;
        }
    }
    return false;
}

/* Binds both processes as motet-floor binds its own; `undo` unbinds them. */
static bool pin(const struct measure *m, bool undo)
{
    cpu_set_t all;
    cpu_set_t first;
    cpu_set_t second;
    bool two = m->cpus != NULL && strcmp(m->cpus, "two") == 0;

    if (m->cpus == NULL) {
        return true;
    }
    if (sched_getaffinity(0, sizeof all, &all) != 0 ||
        !nth_processor(&all, 0, &first) ||
        !nth_processor(&all, two ? 1 : 0, &second)) {
        say_error("this machine has no two processors for us");
        say_hint("use one: --cpus one");
        return false;
    }
    bool ok = sched_setaffinity(m->from->process.pid, sizeof all,
                                undo ? &all : &first) == 0 &&
              sched_setaffinity(m->to->process.pid, sizeof all,
                                undo ? &all : &second) == 0;
    if (!ok && !undo) {
        say_error("cannot bind the sites to processors");
    }
    return ok;
}

/* ---- a measurement ---------------------------------------------------------
 */

static void read_answer(const char *text, struct measured *out)
{
    *out = (struct measured){
        .count = measure_number(text, "count"),
        .elapsed_ns = measure_number(text, "elapsed_ns"),
        .rate = measure_number(text, "rate"),
        .refused = measure_number(text, "refused"),
        .maybe = measure_number(text, "maybe"),
        .min_ns = measure_number(text, "min_ns"),
        .p50_ns = measure_number(text, "p50_ns"),
        .p90_ns = measure_number(text, "p90_ns"),
        .p99_ns = measure_number(text, "p99_ns"),
        .p999_ns = measure_number(text, "p999_ns"),
        .max_ns = measure_number(text, "max_ns"),
    };
}

/* The warm-up is a measurement of its own, so that CPU time is counted over
 * the same time as messages. */
static enum exit_code measure_pinned(struct client *c, const struct measure *m,
                                     struct measured *out)
{
    struct client_reply reply;
    uint64_t busy;
    uint64_t all;
    uint64_t busy_end;
    uint64_t all_end;

    if (m->warmup_s > 0) {
        enum exit_code code = ask(c, m, m->warmup_s, &reply);
        if (code != EXIT_DONE) {
            return code;
        }
        client_reply_free(&reply);
    }
    uint64_t ticks = ticks_of_both(m);
    machine_ticks(&busy, &all);
    enum exit_code code = ask(c, m, m->seconds, &reply);
    if (code != EXIT_DONE) {
        return code;
    }
    ticks = ticks_of_both(m) - ticks;
    machine_ticks(&busy_end, &all_end);
    read_answer(reply.body, out);
    client_reply_free(&reply);
    out->cpu_us_per_million = cpu_per_million(ticks, out->count);
    out->load_percent =
        all_end > all ? (busy_end - busy) * 100 / (all_end - all) : 0;
    return EXIT_DONE;
}

enum exit_code measure_run(struct client *c, const struct measure *m,
                           struct measured *out)
{
    if (!pin(m, false)) {
        return EXIT_FAILED;
    }
    enum exit_code code = measure_pinned(c, m, out);
    (void)pin(m, true);
    return code;
}

/* ---- the floor -------------------------------------------------------------
 */

static uint64_t scaled(const json_t *doc, const char *key, double factor)
{
    double v = json_number_value(json_object_get(doc, key));

    return v > 0 ? (uint64_t)(v * factor + 0.5) : 0;
}

static bool read_floor(const char *text, struct measured *out)
{
    json_t *doc = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

    if (doc == NULL) {
        return false;
    }
    *out = (struct measured){
        .count = scaled(doc, "messages", 1),
        .rate = scaled(doc, "rate", 1),
        .p50_ns = scaled(doc, "p50_us", 1000),
        .p99_ns = scaled(doc, "p99_us", 1000),
        .cpu_us_per_million = scaled(doc, "cpu_s_per_million", 1000000),
    };
    json_decref(doc);
    return out->count > 0;
}

enum exit_code measure_floor(const struct measure *m, bool tls,
                             struct measured *out)
{
    char program[PATH_BYTES];
    char command[PATH_BYTES + 256];
    char text[FLOOR_BYTES];

    if (!process_find("motet-floor", program)) {
        return EXIT_FAILED;
    }
    snprintf(command, sizeof command,
             "exec '%s' %s %s --size %" PRIu64 " --seconds %" PRIu64
             " --cpus %s",
             program, m->send ? "send" : "echo", tls ? "--tls" : "--tcp",
             m->size, m->seconds, m->cpus);
    FILE *f = popen(command, "re");
    size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
    text[n] = '\0';
    int status = f == NULL ? -1 : pclose(f);
    if (status != 0 || !read_floor(text, out)) {
        say_error("motet-floor failed (%d)", status);
        say_hint("run it by hand: %s", command);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}
